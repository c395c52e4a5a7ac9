"""What is learned from: folders of sharp micrographs, and patches of them, blurred as they are
drawn.
"""
