"""LaTeX's names for letters, accents, symbols and units."""

from __future__ import annotations

import unicodedata

ACCENTS = dict(zip("`'^\"~=.uvHcdbkrt", map(chr, (
    0x300, 0x301, 0x302, 0x308, 0x303, 0x304, 0x307, 0x306, 0x30C, 0x30B, 0x327, 0x323, 0x331, 0x328, 0x30A, 0x361)),
    strict=True,
))  # fmt: skip

LETTERS = {
    "ss": "ß", "o": "ø", "O": "Ø", "l": "ł", "L": "Ł", "ae": "æ", "AE": "Æ", "aa": "å", "AA": "Å", "oe": "œ", "OE": "Œ",
    "i": "i", "j": "j", "dh": "ð", "DH": "Ð", "dj": "đ", "DJ": "Đ", "th": "þ", "TH": "Þ", "ng": "ŋ", "NG": "Ŋ",
}  # fmt: skip

_GREEK = "alpha beta gamma delta epsilon zeta eta theta iota kappa mu nu xi pi rho sigma tau upsilon phi chi psi omega"


def _greek() -> dict[str, str]:
    found = {"lambda": "λ", "Lambda": "Λ", "omicron": "ο"}
    for name in _GREEK.split():
        found[name] = unicodedata.lookup(f"GREEK SMALL LETTER {name.upper()}")
        found[name.capitalize()] = unicodedata.lookup(f"GREEK CAPITAL LETTER {name.upper()}")
    texts = {f"text{name}": letter for name, letter in found.items()}
    variants = {f"var{name}": found[name] for name in ("epsilon", "theta", "pi", "rho", "sigma", "phi", "kappa")}
    upright = {f"up{name}": letter for name, letter in found.items()}
    return found | texts | variants | upright


SYMBOLS = _greek() | {
    "textgreater": ">", "textless": "<", "gt": ">", "lt": "<", "geq": "≥", "ge": "≥", "geqslant": "≥", "leq": "≤",
    "le": "≤", "leqslant": "≤", "gg": "≫", "ll": "≪", "neq": "≠", "ne": "≠", "pm": "±", "textpm": "±", "mp": "∓",
    "times": "×", "texttimes": "×", "cdot": "·", "div": "÷", "approx": "≈", "sim": "~", "textasciitilde": "~",
    "simeq": "≃", "cong": "≅", "equiv": "≡", "propto": "∝", "infty": "∞", "to": "→", "rightarrow": "→",
    "textrightarrow": "→", "longrightarrow": "→", "leftarrow": "←", "textleftarrow": "←", "leftrightarrow": "↔",
    "Rightarrow": "⇒", "Leftarrow": "⇐", "uparrow": "↑", "textuparrow": "↑", "downarrow": "↓", "textdownarrow": "↓",
    "degree": "°", "textdegree": "°", "celsius": "°C", "circ": "∘", "micro": "μ", "textmu": "μ", "upmu": "μ",
    "texttrademark": "™", "textregistered": "®", "copyright": "©", "textcopyright": "©", "textendash": "–",
    "textemdash": "—", "textquoteright": "’", "textquoteleft": "‘", "textquotedblleft": "“", "textquotedblright": "”",
    "textquotesingle": "'", "textquotedbl": '"', "quotedblbase": "„", "guillemotleft": "«", "guillemotright": "»",
    "ldots": "…", "dots": "…", "cdots": "…", "textellipsis": "…", "textbar": "|", "mid": "|", "vert": "|", "|": "‖",
    "textbullet": "•", "bullet": "•", "textperiodcentered": "·", "S": "§", "textsection": "§", "P": "¶", "dag": "†",
    "textdagger": "†", "dagger": "†", "ddag": "‡", "ddagger": "‡", "pounds": "£", "textsterling": "£", "euro": "€",
    "texteuro": "€", "EUR": "€", "textyen": "¥", "textcent": "¢", "textperthousand": "‰", "permil": "‰", "prime": "′",
    "ast": "*", "textasteriskcentered": "*", "star": "⋆", "partial": "∂", "sum": "∑", "prod": "∏", "int": "∫",
    "nabla": "∇", "cap": "∩", "cup": "∪", "in": "∈", "notin": "∉", "subset": "⊂", "subseteq": "⊆", "emptyset": "∅",
    "forall": "∀", "exists": "∃", "neg": "¬", "wedge": "∧", "vee": "∨", "angle": "∠", "perp": "⊥", "parallel": "∥",
    "langle": "⟨", "rangle": "⟩", "ell": "ℓ", "hbar": "ħ", "Delta": "Δ", "textminus": "−", "textonehalf": "½",
    "textonequarter": "¼", "textthreequarters": "¾", "textbackslash": "∖", "backslash": "∖", "textasciicircum": "∧",
    "textunderscore": "_", "lbrace": "(", "rbrace": ")", "lvert": "|", "rvert": "|", "checkmark": "✓", "sqrt": "√",
    "textordfeminine": "ª", "textordmasculine": "º", "textless=": "≤", "nobreakspace": " ", "textsuperscript": "",
    "log": "log", "ln": "ln", "exp": "exp", "max": "max", "min": "min", "sin": "sin", "cos": "cos", "tan": "tan",
}  # fmt: skip

CONTENT = frozenset(
    """emph textit textbf textrm textsf texttt textsc textsl textup textmd textnormal text mbox hbox mathrm mathit
    mathbf
    mathsf mathtt mathcal mathbb mathfrak boldsymbol bm operatorname ensuremath url underline uline overline bar hat
    tilde vec widehat widetilde enquote foreignlanguage textcolor uppercase lowercase MakeUppercase NoCaseChange citet
    citep cite ce chem mathnormal textquote mkbibquote mkbibemph nolinkurl path titlecap""".split()  # noqa: SIM905 a list of words
)
"""Commands whose argument is the text itself."""

SWITCHES = frozenset(
    """it em bf rm sf tt sc sl itshape bfseries rmfamily sffamily ttfamily scshape slshape upshape normalfont normalsize
    small footnotesize scriptsize tiny large Large LARGE huge Huge relax protect left right big Big bigg Bigg
    displaystyle textstyle scriptstyle selectfont noopsort limits nolimits noindent centering ignorespaces unskip null
    bigl bigr Bigl Bigr mathstrut strut""".split()  # noqa: SIM905 a list of words
)
"""Commands that only set how text looks."""

BARE = {
    "quad": " ",
    "qquad": " ",
    "space": " ",
    "par": " ",
    "newline": " ",
    "linebreak": " ",
    "hspace": " ",
    "item": " ",
}
"""Commands that stand for a space."""

UNITS = {
    "gram": "g", "kilogram": "kg", "metre": "m", "meter": "m", "litre": "L", "liter": "L", "second": "s",
    "minute": "min", "hour": "h", "day": "d", "mole": "mol", "molar": "M", "percent": "%", "degree": "°",
    "celsius": "°C", "degreeCelsius": "°C", "kelvin": "K", "hertz": "Hz", "pascal": "Pa", "joule": "J", "watt": "W",
    "volt": "V", "ampere": "A", "gray": "Gy", "sievert": "Sv", "becquerel": "Bq", "dalton": "Da", "mg": "mg",
    "kg": "kg", "ml": "mL", "mL": "mL", "um": "μm", "mm": "mm", "cm": "cm", "nm": "nm", "per": "/",
    "squared": "^2", "cubed": "^3", "square": "",
}  # fmt: skip

SIUNITX = {
    "femto": "f", "pico": "p", "nano": "n", "micro": "μ", "milli": "m", "centi": "c", "deci": "d", "kilo": "k",
    "mega": "M", "giga": "G",
}  # fmt: skip
