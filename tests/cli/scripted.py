"""Replies of a scripted model that solves a multiplication."""

SUM = {"tool": "calculator", "arguments": {"expression": "1234*5678"}}
ANSWER = {"reasoning": "the calculator says so", "answer": "7006652"}
ACCEPT = {"reason": "it follows from the tool", "verdict": "accept", "confidence": 0.9}
