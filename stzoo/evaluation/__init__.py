"""A model measured on labelled videos, into one folder.

calls      `stzoo.evaluate`, and what the command asks for
measuring  scores of labelled videos, and what they say
book       scores, kept as they come

scores.npz       what the net says of each video, as arrays; a run that was stopped goes on from here
results.json     every number, and the files that could not be read
confusion.png    right classes against answers
reliability.png  confidence against how often it is right
risk.png         how often answers are wrong, by the share of videos that is answered
"""

from stzoo.evaluation.book import SCORES, ScoreBook
from stzoo.evaluation.calls import evaluate, measured
from stzoo.evaluation.measuring import Evaluation, score_and_measure

__all__ = [
    "SCORES",
    "Evaluation",
    "ScoreBook",
    "evaluate",
    "measured",
    "score_and_measure",
]
