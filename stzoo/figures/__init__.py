"""Pictures. matplotlib is imported when one is drawn; its global state stays as it was.

style          colours, and how a figure is written
fonts          fonts of this machine that have the letters of a text
strategies     posteriors and strategies, site by site
notebook       what a notebook shows of a strategy, a posterior or a model
comparison     posteriors and effects of several runs
measurements   confusion matrix, reliability diagram, scores over time
"""
