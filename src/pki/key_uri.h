#pragma once
#include "base/ctx.h"
#include "model/engine.h"
#include "model/key.h"

/* RFC 7512: keys as pkcs11: URIs, for the keys of every engine. */
struct key_uri {
	const char *token, *id, *object, *type, *module_path; /* decoded; id: hexadecimal */
};
/* Refuses a PIN in it, and one that names neither id nor object. */
int key_uri_parse(struct arena *, const char *text, struct key_uri *ret, struct err *) NODISCARD;
/* Whether the URI's token is the engine's: its setting, or its id. */
bool key_uri_names(struct arena *, const struct key_uri *, const struct engine_doc *);
bool key_uri_matches(struct arena *, const struct key_uri *, const struct key *, const struct engine_doc *);
/* A URI may name the engine's module, never another one. */
int key_uri_check_module(struct arena *, const struct key_uri *, const struct engine_doc *, struct err *) NODISCARD;
char *key_uri_format(struct arena *, const struct key *, const struct engine_doc *); /* NULL: the record has no id */
