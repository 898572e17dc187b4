#pragma once
#include <stdbool.h>

#include "rec/node.h"
#include "rec/schema.h"

/* Questions about one field of a table and its value; p points at the member. Private to rec/. */
const struct field *field_find(const struct schema *, const char *name); /* by name or aka; NULL if there is none */
/* Names of a schema for messages, NULL-terminated; with `all` the computed ones too. */
const char **field_names(struct arena *, const struct schema *, bool all);
bool field_is_id(const struct schema *, const struct field *); /* the id that names the record's file */
bool field_is_reference(const char *secret);
bool field_absent(const struct field *, const void *p);  /* there is no value at all; never so for F_BOOL, F_ENUM, F_OBJ */
bool field_equal(const struct field *, const void *p, const void *q);
bool field_is_default(struct arena *, const struct field *, const void *p);

/* A record as a tree. STORE: what a document holds. SHOW: what people and programs are shown. */
enum node_use { NODE_STORE, NODE_SHOW };
struct node rec_node(struct arena *, const struct schema *, const void *rec, enum node_use);
struct node field_node(struct arena *, const struct field *, const void *p, enum node_use);
