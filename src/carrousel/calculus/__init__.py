"""From a cell's text to its equations, their adjoint, and the operations of a kernel. SymPy lives here."""
