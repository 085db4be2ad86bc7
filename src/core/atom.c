/* Atoms: see atom.h. A chained hash table that doubles; it owns the atoms, holders own their
 * counts. */
#include "core/atom.h"

#include <stdlib.h>
#include <string.h>

static uint32_t hash_of(const char *text, size_t length)
{
    uint32_t hash = UINT32_C(2166136261);

    for (size_t i = 0; i < length; i++) {
        hash = (hash ^ (unsigned char)text[i]) * UINT32_C(16777619);
    }
    return hash;
}

/* Failing to grow only makes chains longer. */
static void grow(struct tk_atoms *atoms)
{
    size_t size = atoms->buckets == NULL ? 64 : (atoms->mask + 1) * 2;
    struct tk_atom **buckets = calloc(size, sizeof(struct tk_atom *));

    if (buckets == NULL) {
        return;
    }
    for (size_t i = 0; atoms->buckets != NULL && i <= atoms->mask; i++) {
        struct tk_atom *atom = atoms->buckets[i];

        while (atom != NULL) {
            struct tk_atom *next = atom->next;
            size_t at = atom->hash & (size - 1);

            atom->next = buckets[at];
            buckets[at] = atom;
            atom = next;
        }
    }
    free(atoms->buckets);
    atoms->buckets = buckets;
    atoms->mask = size - 1;
}

static struct tk_atom *lookup(const struct tk_atoms *atoms, const char *text, size_t length,
                              uint32_t hash)
{
    struct tk_atom *atom;

    if (atoms->buckets == NULL) {
        return NULL;
    }
    atom = atoms->buckets[hash & atoms->mask];
    while (atom != NULL && (atom->hash != hash || atom->length != length ||
                            memcmp(atom->text, text, length) != 0)) {
        atom = atom->next;
    }
    return atom;
}

struct tk_atom *tk_atom_find(const struct tk_atoms *atoms, const char *text, size_t length)
{
    return lookup(atoms, text, length, hash_of(text, length));
}

struct tk_atom *tk_atom_take(struct tk_atoms *atoms, const char *text, size_t length)
{
    uint32_t hash = hash_of(text, length);
    struct tk_atom *atom = lookup(atoms, text, length, hash);

    if (atom != NULL) {
        atom->refs++;
        return atom;
    }
    if (atoms->buckets == NULL || atoms->count > atoms->mask) {
        grow(atoms);
        if (atoms->buckets == NULL) {
            return NULL;
        }
    }
    atom = malloc(sizeof *atom + length + 1);
    if (atom == NULL) {
        return NULL;
    }
    atom->hash = hash;
    atom->refs = 1;
    atom->length = length;
    memcpy(atom->text, text, length);
    atom->text[length] = '\0';
    atom->next = atoms->buckets[hash & atoms->mask];
    atoms->buckets[hash & atoms->mask] = atom;
    atoms->count++;
    return atom;
}

void tk_atom_drop(struct tk_atoms *atoms, struct tk_atom *atom)
{
    struct tk_atom **link;

    if (atom == NULL || --atom->refs > 0) {
        return;
    }
    link = &atoms->buckets[atom->hash & atoms->mask];
    while (*link != atom) {
        link = &(*link)->next;
    }
    *link = atom->next;
    atoms->count--;
    free(atom);
}

void tk_atoms_finish(struct tk_atoms *atoms)
{
    for (size_t i = 0; atoms->buckets != NULL && i <= atoms->mask; i++) {
        while (atoms->buckets[i] != NULL) {
            struct tk_atom *atom = atoms->buckets[i];

            atoms->buckets[i] = atom->next;
            free(atom);
        }
    }
    free(atoms->buckets);
    atoms->buckets = NULL;
    atoms->mask = 0;
    atoms->count = 0;
}
