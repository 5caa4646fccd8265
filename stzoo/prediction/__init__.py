"""A model and a video, a folder of videos or a window that moves along one -> scores with their labels.

predictor   a net together with its input contract and the names of its classes
scoring     many files -> scores, in their order, read ahead by processes
golden      clips with the answers of a model, made and asked again
timeline    scores of a window that moves along a video
rows        one result as a row: what JSON, CSV and Ray Data are given
"""
