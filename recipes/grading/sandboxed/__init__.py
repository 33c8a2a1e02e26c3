"""What runs inside the sandbox, next to untrusted programs.

These modules import the standard library only, and each other relatively: inside they are the package ``sandboxed``,
bound read-only, in an interpreter without site-packages; outside they are ``recipes.grading.sandboxed``.
"""
