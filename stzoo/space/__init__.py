"""The probability space over strategies that a trained template defines, put to work.

one_shot     what a strategy reaches that is pruned out of a template
trie         the nets of many strategies run together
judge        one-shot answers of many strategies, each computed once and kept
race         of many strategies only the better ones see all videos
costs        what strategies cost, and the best ones within a budget where each unit has a price
latency      what strategies cost in milliseconds on this machine
search       the strategy of least cross-entropy within a budget
frontier     what nets reach at their cost
selection    strategies drawn from the posterior, and the best of them
reliability  how far a selection can be trusted
effects      what each branch is worth: the one-shot score without it
evidence     of which gates the data speak
record       effects on disk
keeping      effects in the bundles of their template
comparison   posteriors and effects of several runs
"""
