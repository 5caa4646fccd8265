"""From videos to uint8 clips, and from a dataset's lists to its videos. No torch in here.

A video's frames:
    container opening a file with PyAV, and a decoder that survives damage
    mp4       what PyAV does not say of an MP4 file
    listing   which frames a file holds, from its index or its packets
    shortcuts the wanted frames by seeking and skipping, exactly
    decode    what is inside a file, and its frames: the four above put together
    images    frames kept as pictures, in folders and zip files
    source    the frames of a video one after the other, whatever it is kept as

Clips:
    clips     which frames of a video make its clips: pure functions of its timestamps
    frames    resize, crop, normalise
    reader    path -> clips: decode, images, clips and frames put together
    workers   clips of many files, read by processes of their own, whose time is limited
    windows   a video seen through windows that move along it
    augment   one random clip of a video or strip, to train on
    cache     all clips of a list, decoded once, on disk
    broken    videos that are left out, and how many may be

Datasets:
    datasets  lists of labelled videos, and a folder a class
    official  the annotation files of Kinetics-400, Something-Something and UCF101
    lists     a recipe's [data] table -> class names and labelled videos
    own       a user's own videos: a folder a class, or a list, split into training and validation
    examine   what is wrong with one video, or with many side by side
    check     what training on a dataset would suffer from
    synth     datasets that stzoo makes itself

Besides:
    render    a video written anew with labels on it
    overlay   labels drawn onto frames
    pool      processes that decode side by side
    progress  a progress bar on standard error
"""
