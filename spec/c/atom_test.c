/* Atoms: equal names are one, and they go with their last hold. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/atom.h"

#define NAMES 3000

static uint64_t random_state;

static uint64_t random_number(uint64_t limit)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state * UINT64_C(0x2545F4914F6CDD1D) % limit;
}

static void equal_names_are_one(void **state)
{
    struct tk_atoms atoms = {0};
    char again[] = "ready";
    struct tk_atom *a = tk_atom_take(&atoms, "ready", 5);
    struct tk_atom *b = tk_atom_take(&atoms, "readY", 5);

    (void)state;
    assert_non_null(a);
    assert_non_null(b);
    assert_ptr_not_equal(a, b);
    assert_ptr_equal(tk_atom_take(&atoms, again, 5), a);
    assert_ptr_equal(tk_atom_find(&atoms, again, 5), a);
    assert_int_equal(a->refs, 2);
    assert_int_equal(a->length, 5);
    assert_string_equal(a->text, "ready");
    assert_int_equal(atoms.count, 2);
    tk_atom_drop(&atoms, a);
    tk_atom_drop(&atoms, a);
    tk_atom_drop(&atoms, b);
    assert_int_equal(atoms.count, 0);
    tk_atoms_finish(&atoms);
}

static void a_name_is_any_bytes_of_any_length(void **state)
{
    struct tk_atoms atoms = {0};
    struct tk_atom *none = tk_atom_take(&atoms, "", 0);
    struct tk_atom *zero = tk_atom_take(&atoms, "\0", 1);
    struct tk_atom *zeros = tk_atom_take(&atoms, "\0\0", 2);
    struct tk_atom *cut = tk_atom_take(&atoms, "a\0b", 3);
    struct tk_atom *other = tk_atom_take(&atoms, "a\0c", 3);
    char text[5000];
    struct tk_atom *lengthy;

    (void)state;
    memset(text, 'x', sizeof text);
    lengthy = tk_atom_take(&atoms, text, sizeof text);
    assert_int_equal(atoms.count, 6);
    assert_ptr_equal(tk_atom_find(&atoms, "", 0), none);
    assert_ptr_equal(tk_atom_find(&atoms, "\0", 1), zero);
    assert_ptr_equal(tk_atom_find(&atoms, "\0\0", 2), zeros);
    assert_ptr_equal(tk_atom_find(&atoms, "a\0b", 3), cut);
    assert_ptr_equal(tk_atom_find(&atoms, "a\0c", 3), other);
    assert_ptr_equal(tk_atom_find(&atoms, text, sizeof text), lengthy);
    assert_null(tk_atom_find(&atoms, text, sizeof text - 1));
    assert_null(tk_atom_find(&atoms, "a", 1));
    assert_memory_equal(cut->text, "a\0b", 4);
    assert_int_equal(lengthy->text[sizeof text], 0);
    /* It gives back what is still held, too. */
    tk_atoms_finish(&atoms);
    assert_int_equal(atoms.count, 0);
}

static void finding_neither_makes_nor_holds(void **state)
{
    struct tk_atoms atoms = {0};
    struct tk_atom *atom;

    (void)state;
    assert_null(tk_atom_find(&atoms, "x", 1));
    assert_int_equal(atoms.count, 0);
    atom = tk_atom_take(&atoms, "x", 1);
    assert_ptr_equal(tk_atom_find(&atoms, "x", 1), atom);
    assert_int_equal(atom->refs, 1);
    tk_atom_drop(&atoms, NULL);
    tk_atom_drop(&atoms, atom);
    assert_null(tk_atom_find(&atoms, "x", 1));
    tk_atoms_finish(&atoms);
}

static void names_made_up_for_ever_do_not_pile_up(void **state)
{
    struct tk_atoms atoms = {0};
    char text[24];

    (void)state;
    for (int i = 0; i < 100000; i++) {
        size_t length = (size_t)snprintf(text, sizeof text, "name %d", i);

        tk_atom_drop(&atoms, tk_atom_take(&atoms, text, length));
    }
    assert_int_equal(atoms.count, 0);
    assert_true(atoms.mask < 64);
    tk_atoms_finish(&atoms);
}

static void it_does_what_the_model_does(void **state)
{
    static struct tk_atom *held[NAMES];
    static uint32_t refs[NAMES];
    struct tk_atoms atoms = {0};
    size_t count = 0;
    char text[24];

    (void)state;
    random_state = 9;
    memset(held, 0, sizeof held);
    memset(refs, 0, sizeof refs);
    for (int i = 0; i < 300000; i++) {
        size_t at = random_number(NAMES);
        size_t length = (size_t)snprintf(text, sizeof text, "%zu", at * 7919);

        assert_ptr_equal(tk_atom_find(&atoms, text, length), held[at]);
        if (random_number(5) < 3) {
            struct tk_atom *atom = tk_atom_take(&atoms, text, length);

            assert_non_null(atom);
            assert_true(held[at] == NULL || held[at] == atom);
            assert_string_equal(atom->text, text);
            count += refs[at]++ == 0;
            held[at] = atom;
        } else if (refs[at] > 0) {
            tk_atom_drop(&atoms, held[at]);
            if (--refs[at] == 0) {
                held[at] = NULL;
                count--;
            }
        }
        assert_int_equal(atoms.count, count);
        assert_true(held[at] == NULL || held[at]->refs == refs[at]);
    }
    for (size_t at = 0; at < NAMES; at++) {
        for (; refs[at] > 0; refs[at]--) {
            tk_atom_drop(&atoms, held[at]);
        }
    }
    assert_int_equal(atoms.count, 0);
    tk_atoms_finish(&atoms);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_names_are_one),
        cmocka_unit_test(a_name_is_any_bytes_of_any_length),
        cmocka_unit_test(finding_neither_makes_nor_holds),
        cmocka_unit_test(names_made_up_for_ever_do_not_pile_up),
        cmocka_unit_test(it_does_what_the_model_does),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
