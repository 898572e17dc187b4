#pragma once
#include "base/arena.h"
#include "base/bytes.h"
#include "state/store.h"

/* Running SHA-1; after hash_end it starts anew. Released by hash_free (the struct itself is the arena's). */
struct hash;
struct hash *hash_new(struct arena *);
void hash_add(struct hash *, struct bytes);
void hash_end(struct hash *, struct oid *ret);
void hash_free(struct hash *); /* NULL is allowed */
void hash_object(struct hash *, enum obj_type, struct bytes, struct oid *ret);
