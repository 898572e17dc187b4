#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/bytes.h"
#include "base/err.h"

char *hex_encode(struct arena *, struct bytes);                              /* lower case */
/* -1 on odd length or a foreign character */
int hex_decode(struct arena *, const char *, struct bytes *ret) NODISCARD;
char *b64_encode(struct arena *, struct bytes);                              /* RFC 4648 4, one line, padded */
/* The same at `to`, in lines of so many columns (a multiple of 4), each with its end; returns where it stopped, without
 * a NUL. */
char *b64_lines(char *to, struct bytes, size_t columns);
/* ignores CR, LF, space, tab; strict otherwise */
int b64_decode(struct arena *, struct bytes text, struct bytes *ret) NODISCARD;
char *b64url_encode(struct arena *, struct bytes);                           /* RFC 4648 5, not padded: JOSE */
/* padding may be there or not; strict otherwise */
int b64url_decode(struct arena *, struct bytes text, struct bytes *ret) NODISCARD;
/* RFC 3986 2.1: all but unreserved characters */
char *url_encode(struct arena *, struct bytes);
/* NULL: a '%' without two digits, or a NUL */
char *url_decode(struct arena *, struct bytes);

bool utf8_valid(struct bytes);         /* no overlong forms, no surrogates, no NUL */
size_t utf8_width(const char *);       /* terminal columns of valid UTF-8 */
/* Printable on any terminal: control bytes, invalid UTF-8, and bidirectional controls become \xHH. */
char *text_escape(struct arena *, struct bytes);
/* the same into a buffer of cap >= 1; cut between characters */
void text_escape_into(char *to, size_t cap, struct bytes);

/* The candidate closest to `got` if it is near enough to suggest, else NULL; candidates end with NULL. */
const char *text_nearest(const char *got, const char *const *candidates);
/* equal but for case, '_' and '-': "keyCompromise" = "key_compromise" */
bool text_same_name(const char *a, const char *b);
bool id_valid(const char *);                       /* [a-z0-9][a-z0-9._-]{0,63} */
/* A name for a file, from any text: letters, digits, - and _ stand, so does a dot that is not the first, all else is
 * %XX. It is cut at `max` bytes or up to two after. */
char *text_file_name(struct arena *, const char *, size_t max);
/* "1 key", "2 keys"; many: the plural, where it is not one with an s, else NULL. */
char *text_count(struct arena *, uint64_t n, const char *one, const char *many);
bool text_has_prefix(const char *s, const char *prefix);
/* The items of "a,b" between any of the separators; empty ones are dropped. */
struct strv text_items(struct arena *, const char *, const char *separators);
/* The bearer token of a text, with white space around it or not; ERR_INVALID when there is none, or anything else. */
int text_token(struct arena *, struct bytes text, char **ret, struct err *) NODISCARD;
