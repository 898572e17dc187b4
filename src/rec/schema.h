#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/bytes.h"
#include "base/err.h"
#include "base/tm.h"

/* Field tables: one `const struct field[]` per record type drives reading (YAML, of which JSON is a subset), writing,
 * JSON, JSON Schema, tables, filters and documentation. Records are plain structs whose strings live in an arena.
 *
 * kind     C member          document form
 * F_STR    char *            string
 * F_INT    int64_t           integer, min/max when not both 0
 * F_BOOL   bool              true | false
 * F_ENUM   int               one of names[]; input ignores case, '_' and '-'
 * F_FLAGS  unsigned          bit i = names[i]; written as a mapping of booleans (only the true ones); read as that,
 *                            as a list of names or as one name
 * F_DUR    struct dur        duration, kept as written
 * F_TIME   int64_t           RFC 3339; 0 = absent
 * F_BYTES  struct bytes      base64
 * F_STRV   struct strv       list of strings; with F_LAX also a single string (and written so when it has one item)
 * F_INTV   struct intv       list of integers
 * F_OBJ    struct (inline)   mapping described by sub; left out when it would be empty
 * F_OBJV   struct vec        list of mappings described by sub
 * F_REF    char *            id of a record of type `to`
 * F_REFV   struct strv       ids of records of type `to`
 * F_ANY    char *            any document; kept as compact JSON text with the order of keys as written
 */
enum field_kind {
	F_STR, F_INT, F_BOOL, F_ENUM, F_FLAGS, F_DUR, F_TIME, F_BYTES, F_STRV, F_INTV, F_OBJ, F_OBJV, F_REF, F_REFV,
	F_ANY
};

enum field_flags {
	F_REQ = 1,     /* must be present */
	F_KEY = 2,     /* the record's id: `-o id` prints it */
	F_SECRET = 4,  /* printed as ***; a document may only hold a reference: ${NAME} env: file: fd: command: */
	F_COL = 8,     /* a column of the default table */
	F_LAX = 16,    /* F_STRV, F_REFV: a single string will do */
	F_OUT = 32,    /* computed: shown in results, refused in documents, never stored */
	F_HIDE = 64,   /* stored, but left out of tables and `show` text (long text such as a PEM); present in JSON */
	F_SHOW0 = 128, /* written and shown even when it equals its default */
	F_IN = 512,    /* another form of other fields, which check moves there: read, never written or shown */
	F_REST = 256   /* F_ANY: members of the mapping that no row names are taken into this object, not refused */
};

struct schema;

struct field {
	const char *name;               /* snake_case, as in documents and JSON */
	enum field_kind kind;
	unsigned flags;
	size_t off;
	const char *const *names;       /* F_ENUM, F_FLAGS: NULL-terminated */
	const char *const *aka;         /* other names accepted for this field on input, NULL-terminated */
	const struct schema *sub;       /* F_OBJ, F_OBJV */
	const struct schema *to;        /* F_REF, F_REFV */
	int64_t min, max;               /* F_INT, F_DUR (seconds), F_TIME */
	const char *dflt;               /* as in a document */
	const char *doc;                /* one or more sentences for the manual */
};

struct schema {
	const char *name;   /* "profile": the noun */
	const char *plural; /* "profiles" */
	const char *path;   /* where main keeps one: "profiles/%s.yaml"; NULL for parts of records and for views */
	const char *doc;
	size_t size;
	const struct field *fields; /* ends with END; at most 63 */
	/* Rules between fields; also the place that brings input forms into the one stored form. `where` names no
	 * file. */
	int (*check)(struct arena *, void *rec, struct err *);
};

struct intv {
	int64_t *v;
	size_t n;
	bool set; /* tells [] from absent */
};
struct vec {
	void *v;
	size_t n;
};

/* Limits of every document, which may be hostile. */
enum { REC_MAX_BYTES = 1 << 20, REC_MAX_DEPTH = 16, REC_MAX_NODES = 100000 };

/* Reads one document into *rec (size of schema, overwritten). `file` is for messages "file:line:column: field: why".
 * Refused: unknown and duplicate fields, aliases, anchors, tags, NUL, a second document, more than the limits. The word
 * null counts as absent where a field may be absent; "~", nothing at all, and null in a list are refused. */
int rec_load(struct arena *, const struct schema *, const char *file, struct bytes text, void *rec,
	     struct err *) NODISCARD;
/* Prefixes the error with "file:line:column" of the field at a path, in a document that rec_load has read. */
void rec_place(struct arena *, const struct schema *, const char *file, struct bytes text, const char *path,
	       struct err *);
/* Sets every field to its default, as rec_load does for an empty mapping (required fields stay empty). */
void rec_default(struct arena *, const struct schema *, void *rec);
/* Runs schema->check of the record and its parts on a record that was built in memory. */
int rec_check(struct arena *, const struct schema *, void *rec, struct err *) NODISCARD;
/* Canonical YAML: table order, defaults left out, byte-identical for equal records; F_OUT fields left out. */
void rec_emit(const struct schema *, const void *rec, struct buf *out);
/* One JSON value, F_OUT fields included, F_SECRET as "***". Compact when indent is 0. */
void rec_json(const struct schema *, const void *rec, int indent, struct buf *out);
/* The same content as YAML, for `-o yaml`. */
void rec_show_yaml(const struct schema *, const void *rec, struct buf *out);

/* Edits a document in place: sets `path` ("validity.duration", "tags.0", "metadata.site") to `value` (YAML flow text;
 * NULL removes it), leaving comments and order of everything else. The result is loaded again and checked. */
int rec_set(struct arena *, const struct schema *, const char *file, struct bytes text, const char *path,
	    const char *value, struct buf *out, struct err *) NODISCARD;
/* Several changes, one after the other: only what they make together has to be a record. */
struct rec_change {
	const char *path, *value;
};
int rec_set_all(struct arena *, const struct schema *, const char *file, struct bytes text, const struct rec_change *,
		size_t n, struct buf *out, struct err *) NODISCARD;

/* The text of a field by path, for tables, filters and sorting; NULL when absent. *ret_field may be NULL. Lists are
 * joined with ", ". A path into an F_ANY descends the JSON. An unknown path gives -1 with the nearest name. */
int rec_get(struct arena *, const struct schema *, const void *rec, const char *path, char **ret,
	    const struct field **ret_field, struct err *) NODISCARD;
/* Whether rec_json shows the field; `at` points at its member. */
bool rec_shown(struct arena *, const struct field *, const void *at);
bool rec_equal(const struct schema *, const void *a, const void *b);

void schema_json(const struct schema *, struct buf *out); /* JSON Schema 2020-12, indented */
void schema_mdoc(const struct schema *, struct buf *out); /* the FIELDS part of a section 5 manual page, mdoc(7) */

/* Where main keeps the record `id` of a type: "profiles/tls.yaml". The id must be valid. */
char *schema_path(struct arena *, const struct schema *, const char *id);

/* F_ANY text: small edits on a JSON object. `json` NULL means {}. value is JSON, or taken as a string when it is
 * not. */
int any_set(struct arena *, const char *json, const char *key, const char *value, char **ret, struct err *) NODISCARD;
int any_unset(struct arena *, const char *json, const char *key, char **ret, struct err *) NODISCARD;
/* Members of `patch` replace those of the same name; null removes (RFC 7396, of the first level). */
int any_merge(struct arena *, const char *json, const char *patch, char **ret, struct err *) NODISCARD;
/* The member `key` of an object: strings without quotes, all else as JSON; NULL if absent. */
char *any_get(struct arena *, const char *json, const char *key);
/* Calls cb for each member of an object. */
int any_each(struct arena *, const char *json, int (*cb)(void *, const char *key, const char *value),
	     void *arg) NODISCARD;

/* Row constructors; each checks at compile time that the member has the type that the kind needs. */
#define FOFF(st, m, T) (offsetof(struct st, m) + 0 * sizeof(char[_Generic(((struct st *)0)->m, T : 1)]))
#define ROW(st, m, K, T, d, ...) { .name = #m, .kind = K, .off = FOFF(st, m, T), .doc = d, __VA_ARGS__ }
#define STR(st, m, ...) ROW(st, m, F_STR, char *, __VA_ARGS__, )
#define INT(st, m, ...) ROW(st, m, F_INT, int64_t, __VA_ARGS__, )
#define BOOL(st, m, ...) ROW(st, m, F_BOOL, bool, __VA_ARGS__, )
#define ENUM(st, m, nm, ...) ROW(st, m, F_ENUM, int, __VA_ARGS__, .names = nm)
#define FLAGS(st, m, nm, ...) ROW(st, m, F_FLAGS, unsigned, __VA_ARGS__, .names = nm)
#define DUR(st, m, ...) ROW(st, m, F_DUR, struct dur, __VA_ARGS__, )
#define TIME(st, m, ...) ROW(st, m, F_TIME, int64_t, __VA_ARGS__, )
#define BYTES(st, m, ...) ROW(st, m, F_BYTES, struct bytes, __VA_ARGS__, )
#define STRV(st, m, ...) ROW(st, m, F_STRV, struct strv, __VA_ARGS__, )
#define INTV(st, m, ...) ROW(st, m, F_INTV, struct intv, __VA_ARGS__, )
#define OBJ(st, m, s, ...) { .name = #m, .kind = F_OBJ, .off = offsetof(struct st, m), .sub = s, .doc = __VA_ARGS__ }
#define OBJV(st, m, s, ...) ROW(st, m, F_OBJV, struct vec, __VA_ARGS__, .sub = s)
#define REF(st, m, t, ...) ROW(st, m, F_REF, char *, __VA_ARGS__, .to = t)
#define REFV(st, m, t, ...) ROW(st, m, F_REFV, struct strv, __VA_ARGS__, .to = t)
#define ANY(st, m, ...) ROW(st, m, F_ANY, char *, __VA_ARGS__, )
#define END { .name = NULL }
