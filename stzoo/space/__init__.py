"""The probability space over strategies that a trained template defines, put to work.

selection   strategies drawn from the posterior, scored without training, and the best of them
effects     what each branch is worth: the one-shot score without it
record      effects on disk
"""
