"""What a terminal is shown.

cleaning   text that no name can steer the terminal with
progress   bars with rate and time left, on standard error
quiet      libraries that say what nobody asked for
"""
