#pragma once
#include "base/ctx.h"
#include "model/dms.h"

/* Secrets that single devices share with a device manager: in .git/lamassu/psk/<dms>/, never in git; hashed, but for
 * TLS, whose handshake takes the secret itself. */
struct psk {
	char *device;
	int store;         /* enum psk_store */
	bool single_use;
	int64_t created_at;
	struct bytes salt, hash; /* ha1: no salt, and the hash of RFC 7616 3.4.2 with the manager's realm; tls: none */
	struct bytes key;        /* tls: what the hexadecimal digits of the secret stand for */
	char *mark;              /* not stored: of one that is kept elsewhere */
};
enum { PSK_MIN = 12, PSK_MAX = 1024 }; /* bytes of a secret */
/* bytes of a key: whoever saw a handshake can try short ones (RFC 9257 6) */
enum { PSK_KEY_MIN = 16, PSK_KEY_MAX = 64 };

char *psk_realm(struct arena *, const struct dms *);
/* 256 random bits, as the manager's devices take them; NULL: there are no random numbers. */
char *psk_random(struct arena *, const struct dms *);
/* Sets or replaces it. ERR_INVALID for a secret that is too short. */
int psk_set(struct ctx *, const struct dms *, const char *device, const char *secret, bool single_use,
	    struct err *) NODISCARD;
int psk_remove(struct ctx *, const struct dms *, const char *device, struct err *) NODISCARD; /* ERR_NOT_FOUND */
/* After a manager or a device was deleted: nobody who is called so later inherits a secret. `dms` NULL: of all
 * managers; `device` NULL: all that the manager has. What cannot be removed is a warning. */
void psk_forget(struct ctx *, const char *dms, const char *device);
/* ERR_NOT_FOUND */
int psk_load(struct ctx *, const struct dms *, const char *device, struct psk *ret, struct err *) NODISCARD;
/* Secrets that are elsewhere (psk_list.c): what a manager's reference or its engine holds when the listener starts. */
struct psk_list {
	const char *dms, *source; /* source: psk_source() at that time */
	struct bytes text;        /* lines DEVICE:SECRET */
};
const char *psk_source(struct arena *, const struct dms *); /* for people too; NULL: this clone has them */
int psk_list_read(struct ctx *, const struct dms *, struct bytes *ret, struct err *) NODISCARD;
int psk_list_check(struct arena *, const struct dms *, struct bytes list, struct err *) NODISCARD;
bool psk_list_find(struct arena *, struct bytes list, const char *device, char **ret);
/* `secret` NULL removes: ERR_NOT_FOUND. ERR_CONFLICT where only others can. */
int psk_list_set(struct ctx *, const struct dms *, const char *device, const char *secret, struct err *) NODISCARD;
/* As psk_load. ret->mark is set. */
int psk_load_listed(struct ctx *, const struct dms *, struct bytes list, const char *device, struct psk *ret,
		    struct err *) NODISCARD;
char *psk_mark(struct arena *, struct bytes key, const struct dms *, const char *device, const char *secret);
int psk_secret_check(struct arena *, const struct dms *, const char *secret, struct err *) NODISCARD;

/* For TLS, without a state. The identity is DEVICE, or DMS/DEVICE where several share a secret with one. Costs the same
 * for one that is not known; ret->key.n is 0 then. */
struct psk_places {
	const char *folder;            /* psk_folder() */
	struct strv managers;          /* those that are meant; n = 0: all */
	const struct psk_list *lists;
	size_t nlists;
};
struct psk_found {
	const char *dms, *device;
	struct bytes key;
};
char *psk_folder(const struct ctx *);
void psk_find(struct arena *, const struct psk_places *, const char *identity, struct psk_found *ret);
/* Makes what psk_find needs to hide who is not known, and psk_load_listed to make marks. */
int psk_prepare(struct ctx *, struct err *) NODISCARD;
/* Is it the secret? Costs the same for psk NULL, which it never is. */
bool psk_check(struct arena *, const struct dms *, const struct psk *, struct bytes secret);

/* Single use. Only one request can spend a secret, whatever process it is in; the same request may do so again. `mark`:
 * of struct psk. ERR_DENIED: it is spent on another one. */
int psk_spend(struct ctx *, const struct dms *, const char *device, const char *mark, const char *request,
	      struct err *) NODISCARD;
void psk_unspend(struct ctx *, const struct dms *, const char *device, const char *mark);
/* *ret NULL: nothing */
int psk_spent_on(struct ctx *, const struct dms *, const char *device, const char *mark, char **ret,
		 struct err *) NODISCARD;
