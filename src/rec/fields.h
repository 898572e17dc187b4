#pragma once
#include <stdbool.h>

#include "rec/node.h"
#include "rec/schema.h"

/* Questions about one field of a table and its value; p points at the member. Private to rec/. */
const struct field *field_find(const struct schema *, const char *name); /* by name or aka; NULL if there is none */
const struct field *field_find_like(const struct schema *, const char *name); /* also "valid-to" for valid_to */
/* Names of a schema for messages, NULL-terminated; with `all` the computed ones too. */
const char **field_names(struct arena *, const struct schema *, bool all);
/* -1, with the nearest name */
int field_unknown(struct arena *, const struct schema *, const char *name, struct err *);
/* the F_REST field or NULL */
const struct field *field_rest(const struct schema *);
/* F_FLAGS, F_ENUM; -1: unknown */
int field_bit(const struct field *, const char *name);
bool field_is_id(const struct schema *, const struct field *); /* the id that names the record's file */
bool field_is_reference(const char *secret);
/* there is no value at all; never so for F_BOOL, F_ENUM, F_OBJ */
bool field_absent(const struct field *, const void *p);
bool field_equal(const struct field *, const void *p, const void *q);
bool field_is_default(struct arena *, const struct field *, const void *p);

/* A record as a tree. STORE: what a document holds. SHOW: what people and programs are shown. */
enum node_use { NODE_STORE, NODE_SHOW };
struct node rec_node(struct arena *, const struct schema *, const void *rec, enum node_use);
struct node field_node(struct arena *, const struct field *, const void *p, enum node_use);
/* The value at a path as rec_get finds it; NULL when absent. */
int rec_get_node(struct arena *, const struct schema *, const void *rec, const char *path, struct node **ret,
		 const struct field **ret_field, struct err *) NODISCARD;
bool path_index(const char *s, size_t len, size_t *ret); /* a step of a path that counts items */
