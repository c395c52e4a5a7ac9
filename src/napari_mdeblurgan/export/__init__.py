"""Models for other programs, as ONNX or as a bioimage.io package, and the way back from such a
package.
"""
