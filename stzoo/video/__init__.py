"""From a video file to uint8 clips: which frames, how they are decoded, resized, listed and cached. No torch in here.

clips     which frames of a video make its clips: pure functions of its timestamps
decode    what is inside a file, and its frames in order (PyAV)
frames    resize, crop, normalise
reader    path -> clips, the three above put together
datasets  lists of labelled videos
cache     all clips of a list, decoded once, on disk
"""
