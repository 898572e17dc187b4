#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/bytes.h"
#include "base/err.h"

/* A document as a tree, whatever its syntax: records are read from one and written through one. Private to rec/. */
enum node_kind { NODE_SCALAR, NODE_LIST, NODE_MAP };

struct node {
	enum node_kind kind;
	bool plain;         /* scalar: read without quotes; to be written as it stands, being a JSON literal */
	bool word;          /* scalar to be written: text that YAML may hold without quotes, whatever it looks like */
	bool flow;          /* collection read in [] or {} */
	bool block;         /* scalar read from a | or > block */
	char *text;         /* scalar; never holds NUL */
	struct node *items; /* NODE_MAP: key, value, key, value */
	size_t n;           /* of items */
	size_t line, column;
	size_t at, end; /* the first character and the one past the last, counted in characters from the start */
};

struct doc {
	struct bytes text; /* without a byte order mark */
	struct node root;
	bool json;
};

/* Reads a document: JSON where it is JSON, else YAML. Enforces every limit of schema.h but those of the schema. */
int doc_parse(struct arena *, const char *file, struct bytes, struct doc *ret, struct err *) NODISCARD;
/* The readers behind it; they trust that the text is UTF-8 without NUL. json_parse takes any JSON value; flat_parse
 * gives false for what it leaves to yaml_parse. */
bool flat_parse(struct arena *, struct bytes, struct node *ret);
int yaml_parse(struct arena *, const char *file, struct bytes, struct node *ret, struct err *) NODISCARD;
int json_parse(struct arena *, const char *file, struct bytes, struct node *ret, struct err *) NODISCARD;

void yaml_print(const struct node *map, struct buf *); /* block style, canonical */
void yaml_print_at(const struct node *, int indent, struct buf *);   /* a map or a list as whole lines */
void yaml_print_inline(const struct node *, bool flow, struct buf *); /* on one line; flow: within [] or {} */
void json_print(const struct node *, int indent, struct buf *);
void json_print_text(const char *, struct buf *); /* one string, with its quotes */

bool node_is_null(const struct node *);
/* same text and same types, by the core schema */
bool node_equal(struct arena *, const struct node *, const struct node *);
struct node node_text(struct arena *, const char *);
/* returns the value's place */
struct node *node_add(struct arena *, struct node *map, const char *key, struct node value);
struct node *node_find(const struct node *map, const char *key);                             /* NULL: absent */

/* Gives the plain scalars of a tree the types of YAML's core schema, in place, so that json_print and yaml_print write
 * them faithfully; refuses duplicate and overlong keys. On failure *ret_bad is the culprit and *ret_why says why. */
int any_resolve(struct arena *, struct node *, const struct node **ret_bad, const char **ret_why) NODISCARD;
bool any_is_text(struct arena *, const struct node *scalar);
enum { ANY_MAX_KEY = 200 }; /* libyaml reads keys of at most 1024 characters, after escapes */

/* Surgery on the text of a document, by the places of its nodes: all bytes outside of what changes stay. `i` is the
 * place of a value in parent->items; parent NULL is the root. The result is a proposal, to be parsed and compared. */
void edit_replace(struct arena *, const struct doc *, const struct node *parent, size_t i, const struct node *value,
		  struct buf *out);
void edit_add(struct arena *, const struct doc *, const struct node *parent, const char *key, const struct node *value,
	      struct buf *out); /* key NULL: at the end of a list */
void edit_remove(struct arena *, const struct doc *, const struct node *parent, size_t i, struct buf *out);
