//! Where all parts meet: how to build and order them, which thread hosts what.
