"""Protocol extensions (XEPs), each in a module that is named by its function."""
