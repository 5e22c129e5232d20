// Owns the tests' precompiled header (cmake/Precompiled.cmake).
