"""A model and a video, a folder of videos or a window that moves along one -> scores with their labels.

clips       what a net says of clips that have been read, averaged over each video
answers     one answer, and what is said of the video that it is about
predictor   a net together with its input contract and the names of its classes
scoring     many files -> scores or vectors, in their order, read ahead by processes
golden      clips with the answers of a model, made and asked again
confidence  how far scores are to be believed, fitted on labelled videos
timeline    scores of a window that moves along a video
stream      scores of a window that moves along frames that come one at a time
vectors     the vectors of many files in a file of their own
rows        one result as a row: what JSON, CSV and Ray Data are given
"""
