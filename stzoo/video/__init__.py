"""From one video to uint8 clips, and to a video with labels on it. No torch in here.

A video's frames:
    video      what a video is: its path or what is in memory, and the frame rate that pictures do not say
    given      what a caller in Python may give as a video
    held       videos in memory: bytes, frames, and objects that decode
    container  opening a file with PyAV, and a decoder that survives damage
    mp4        what PyAV does not say of an MP4 file
    listing    which frames a file holds, from its index or its packets
    endings    whether a file ends before it should
    orientation  how a decoded frame is turned and mirrored to stand upright
    shortcuts  the wanted frames by seeking and skipping, exactly
    decode     what is inside a file, and its frames: the six above put together
    kinds      what looks like a video and is none that is read: what to do
    archives   zip files that hold pictures
    images     frames kept as pictures, in folders and zip files
    source     an open video, whatever it is kept as: a few of its frames, or all of them one after the other

Clips:
    clips      which frames of a video make its clips: pure functions of its timestamps
    frames     resize, crop, normalise
    frame_order  a clip's frames backwards, or mixed
    reader     video -> clips: source, clips and frames put together
    workers    clips of many files, read by processes of their own, whose time is limited
    windows    a video seen through windows that move along it
    live       a camera, an address or a pipe: frames as they come
    stream     the same windows over frames that come one at a time, without an end
    slots      random clips of many videos, read by processes into memory that they share
    augment    one random clip of a video or strip, to train on

Besides:
    track      pictures written into a file at their own times
    render     a video written anew with labels on it
    shrink     a video written anew with smaller pictures, to train on
    overlay    labels drawn onto frames
"""
