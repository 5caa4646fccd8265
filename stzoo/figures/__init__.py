"""Pictures. matplotlib is imported when one is drawn; its global state stays as it was.

style          colours, fonts and how a figure is written
strategies     posteriors and strategies, site by site
comparison     posteriors and effects of several runs
measurements   confusion matrix, reliability diagram, scores over time
"""
