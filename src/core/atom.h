/*
 * Atoms: names as pointers. Two equal names are one atom, so names compare by address. Atoms are
 * counted and go when nobody holds them: names made up by a program for ever do not pile up.
 */
#ifndef TK_CORE_ATOM_H
#define TK_CORE_ATOM_H

#include <stddef.h>
#include <stdint.h>

struct tk_atom {
    struct tk_atom *next; /* in its bucket */
    uint32_t hash;
    uint32_t refs;
    size_t length;
    char text[]; /* with a zero at the end, which is not counted */
};

struct tk_atoms {
    struct tk_atom **buckets;
    size_t mask;
    size_t count;
};

/* A zeroed struct is an empty table. Finishing it expects every atom released. */
void tk_atoms_finish(struct tk_atoms *atoms);

/* The atom of a name, held once more by the caller; NULL: out of memory. */
struct tk_atom *tk_atom_take(struct tk_atoms *atoms, const char *text, size_t length);

/* The atom of a name if there is one, not held; NULL if nobody holds that name. */
struct tk_atom *tk_atom_find(const struct tk_atoms *atoms, const char *text, size_t length);

/* Lets go of one hold. NULL is fine. */
void tk_atom_drop(struct tk_atoms *atoms, struct tk_atom *atom);

#endif
