"""The pages, a file each kind; `routes` of each says what is where."""
