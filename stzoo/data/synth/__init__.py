"""Made datasets: pictures drawn, filmed by a moving camera and written as video files, all from a seed.

camera       the set `camera`: one set of videos, three questions
motions      what its camera does over time
mocap15      the set `mocap15`: fifteen human actions
mocap        captured motion as joints over time
performance  one clip of `mocap15`
figure       a body drawn into frames
pictures     the pictures that are filmed
textures     procedural surfaces
scenes       procedural scenes
lettering    procedural posters and pages
objects      things in front of the camera
appearance   exposure, colour, blur, noise
geometry     from a camera's pose to a homography
render       a picture filmed, and the mp4 file
making       how a set comes about in a folder, and goes on when it was interrupted
"""
