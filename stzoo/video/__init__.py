"""From a video file to uint8 clips: which frames, how they are decoded, resized, listed and cached. No torch in here.

clips     which frames of a video make its clips: pure functions of its timestamps
container opening a file with PyAV, and a decoder that survives damage
listing   which frames a file holds, from its index or its packets; mp4 reads what the index leaves out
shortcuts the wanted frames by seeking and skipping, exactly
workers   clips of many files, read by processes of their own
decode    what is inside a file, and its frames: the three above put together
frames    resize, crop, normalise
reader    path -> clips, the three above put together
source    the frames of a video one after the other, whatever it is kept as
windows   a video seen through windows that move along it
render    a video written anew with labels on it; overlay draws them
images    frames kept as pictures, in folders and zip files
datasets  lists of labelled videos, and a folder a class
official  the annotation files of Kinetics-400, Something-Something and UCF101
own       a user's own videos: a folder a class, or a list, split into training and validation
lists     a recipe's [data] table -> class names and labelled videos
examine   what is wrong with one video, or with many side by side
check     what training on a dataset would suffer from
augment   one random clip of a video or strip, to train on
pool      processes that decode side by side
cache     all clips of a list, decoded once, on disk
"""
