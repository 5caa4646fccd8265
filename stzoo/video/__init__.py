"""From a video file to uint8 clips: which frames, how they are decoded, resized, listed and cached. No torch in here.

clips     which frames of a video make its clips: pure functions of its timestamps
container opening a file with PyAV, and a decoder that survives damage
listing   which frames a file holds, from its index or its packets; mp4 reads what the index leaves out
shortcuts the wanted frames by seeking and skipping, exactly
workers   clips of many files, read by processes of their own
decode    what is inside a file, and its frames: the three above put together
frames    resize, crop, normalise
reader    path -> clips, the three above put together
datasets  lists of labelled videos
cache     all clips of a list, decoded once, on disk
"""
