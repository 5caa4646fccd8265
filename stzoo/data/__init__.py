"""From a dataset's lists to its videos, found, checked and decoded. No torch in here.

names      names that can be written in several ways
texts      text files line by line, and CSV files row by row
tables     lists that are tables: videos, or parts of them
parts      parts of videos, held against the videos
boris      what BORIS exports of coded videos
datasets   lists of labelled videos
folders    a folder a class, the folders of splits, and what of a folder is no video
official   the annotation files of Kinetics-400, Something-Something and UCF101
hmdb       those of HMDB51 and J-HMDB
sources    recordings that videos were cut from, and folds
questions  fewer classes, frames in another order, the arrow of time
labelled   videos that somebody names: a list, or a folder with a folder a class
layouts    how the lists of every format are named, and where they are
lists      a recipe's [data] table -> class names and labelled videos
own        a user's own videos: a folder a class, or a list, split into training and validation
record     work on many videos side by side, and the file of what was found
examine    what is wrong with one video, or with many side by side
check      what training on a dataset would suffer from
shrink     a dataset written anew with smaller videos
rewriting  its lists, which name them
cache      all clips of a list, decoded once, on disk
broken     videos that are left out, and how many may be
synth/     datasets that stzoo makes itself

The folder labels/ holds class names that no annotation file carries.
"""
