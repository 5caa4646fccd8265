"""Made datasets: pictures drawn, filmed by a moving camera and written as video files, all from a seed."""
