#pragma once
#include <p11-kit/pkcs11.h>
#include <pthread.h>

#include "engine/engine.h"

/* Inside of the PKCS#11 engine: modules (pkcs11_module.c), the threads that call them (pkcs11_guard.c), sessions and
 * login (pkcs11_session.c), objects and attributes (pkcs11_object.c), making and removing keys (pkcs11_key.c,
 * pkcs11_import.c), signatures (pkcs11_sign.c). */

/* --- calls that may never come back (pkcs11_guard.c) --- */
struct p11_guard;
struct p11_use;
typedef int p11_work(void *arg, struct arena *, struct err *);
struct p11_guard *p11_guard_new(int64_t secs); /* how long a call may last */
/* Runs the work in a thread of the guard's, and waits; what it allocates goes to `a`, if that is not NULL. ERR_REMOTE
 * when a call lasts too long: its thread goes no further than the call. What the module reads or writes must then
 * outlive the command: it is on the thread's stack, in the work's arena or in the engine's. */
int p11_guarded(struct p11_guard *, struct arena *a, p11_work *, void *arg, struct err *) NODISCARD;
bool p11_stuck(const struct p11_guard *); /* a thread was left behind and has not come back */
bool p11_guard_free(struct p11_guard *);  /* false: it is stuck; it and all that its threads know must stay */
/* Around each call of a module, so that it can be left; nothing in a thread that is not a guard's. It may last so many
 * times the usual; 0: as long as it likes. */
void p11_enter(const char *call, unsigned times);
void p11_leave(void);
CK_RV p11_left(CK_RV); /* p11_leave() */
#define P11(f, call, ...) (p11_enter(#call, 1), p11_left((f)->call(__VA_ARGS__)))
#define P11_SLOW(f, call, ...) (p11_enter(#call, 10), p11_left((f)->call(__VA_ARGS__)))
void p11_using(struct p11_use *); /* whose session is to be handed back after all; NULL: none */
void p11_lock(pthread_mutex_t *); /* for locks that are held during calls */
void p11_unlock(pthread_mutex_t *);
void p11_cond_init(pthread_cond_t *);
void p11_cond_wait(pthread_cond_t *, pthread_mutex_t *); /* a second at most */

/* --- libp11 and p11-kit (pkcs11_libp11.c) --- */

struct p11_token {
	CK_SLOT_ID slot;
	const char *label, *serial;
};

struct p11_wanted { /* what a PKCS#11 URI (RFC 7512) asks for; NULL: anything */
	const char *token, *serial, *manufacturer, *model, *object, *module_path, *pin_source;
	struct bytes id; /* p NULL: any */
	bool is_private; /* false: it names something else than a private key */
};

/* Loads and initializes a module. *ret_lib is for the calls below. */
int p11_load(struct arena *, const char *path, void **ret_lib, CK_FUNCTION_LIST **ret, struct err *) NODISCARD;
void p11_unload(void *lib);
/* The initialized tokens that are there now. */
int p11_tokens(struct arena *, void *lib, struct p11_token **ret, size_t *ret_n, struct err *) NODISCARD;
int p11_uri(struct arena *, const char *text, struct p11_wanted *ret, struct err *) NODISCARD;

/* --- modules: one instance of each in a process --- */
struct p11_module { /* engines come and go, so it has an arena of its own */
	struct p11_module *next;
	struct arena *arena;
	const char *path; /* real */
	const char *env;  /* what was set for it; JSON */
	void *lib;
	CK_FUNCTION_LIST *f;
	unsigned users;
};
/* `dir` remembers which modules have been loaded without harm; NULL: nothing may be written. */
int p11_module_open(const char *path, const char *env, const char *dir, struct p11_module **ret,
		    struct err *) NODISCARD;
void p11_module_close(struct p11_module *);
int p11_child(int argc, char **argv); /* of the process in which an unknown module is loaded first */

/* --- an open engine --- */
struct p11_config {
	char *module_path, *token, *serial, *pin;
	struct p11_extra {
		char *env; /* JSON */
	} module_extra_options;
	struct dur timeout;
	int64_t max_sessions;
	bool login, read_only;
	struct strv mechanisms, key_types;
};

enum { P11_SESSIONS = 64, P11_ID_MAX = 255 };

struct p11_known { /* a private key that was found */
	const char *handle;
	CK_OBJECT_HANDLE object;
	unsigned epoch;   /* in which `object` means it */
	size_t order;     /* octets of the order of its curve; 0: not known */
	bool always_auth; /* each signature wants the PIN anew */
};

struct p11 {
	struct arena *arena; /* its own, of `known` and of the PIN; only under `lock` */
	struct p11_guard *guard;
	const struct p11_config *config;
	const char *id; /* of the engine */
	struct p11_module *module;
	CK_FUNCTION_LIST *f;
	CK_SLOT_ID slot;
	CK_TOKEN_INFO token;
	bool read_only;
	CK_MECHANISM_TYPE *mechanisms; /* that the token has and the config lets it use */
	size_t nmechanisms;

	pthread_mutex_t lock;
	pthread_cond_t given;
	CK_SESSION_HANDLE idle[P11_SESSIONS];
	unsigned nidle, nopen, max;
	unsigned epoch; /* counts losses: what an earlier epoch gave is void */
	bool logged_in;
	char *pin;
	struct err refused; /* the PIN was wrong: it is not tried again */
	struct p11_known **known;
	size_t nknown;
};

struct p11_use { /* one task with a session */
	struct p11 *p;
	CK_FUNCTION_LIST *f;
	struct arena *arena;
	CK_SESSION_HANDLE s;
	unsigned epoch;
	bool taken; /* s is one of the pool */
	bool asks;  /* a person must be asked for the PIN */
	CK_RV rv;   /* of the last call that failed */
};

typedef int p11_task(struct p11_use *, void *arg, struct err *);
/* Runs a task with a session of the pool, logged in, in a thread of the guard's. When the session, the login or the
 * token was lost it is run once more after all of that was made anew. ctx NULL: nobody can be asked for the PIN. */
int p11_run(struct ctx *, struct p11 *, struct arena *, p11_task *, void *arg, struct err *) NODISCARD;
void p11_sessions_close(struct p11 *);
void p11_came_back(struct p11_use *, bool locked); /* from a call that nobody waits for any more */
int p11_token_find(struct p11 *, struct arena *, struct err *) NODISCARD; /* sets slot and token */
int p11_login_again(struct p11_use *, struct err *) NODISCARD; /* for a key that wants the PIN each time */

/* "C_Sign: CKR_DEVICE_REMOVED (0x32)"; remembers rv; returns -1. */
int p11_fail(struct p11_use *, const char *call, CK_RV, struct err *);
#define p11_fail(...) err_result(p11_fail(__VA_ARGS__))
int p11_err(const char *call, CK_RV, struct err *);
#define p11_err(...) err_result(p11_err(__VA_ARGS__))
bool p11_lost(CK_RV);      /* session, login, token: to be made anew */
bool p11_not_able(CK_RV);  /* the token does not do this, or not so */
bool p11_has(const struct p11 *, CK_MECHANISM_TYPE);
#define P11_NONE ((CK_MECHANISM_TYPE)-1)
#define P11_RSA_AES_KEY_WRAP ((CK_MECHANISM_TYPE)0x1054) /* PKCS#11 2.40; not in p11-kit's header */
CK_MECHANISM_TYPE p11_rsa_generator(const struct p11 *); /* P11_NONE: it makes no RSA keys */
char *p11_text(struct arena *, const CK_UTF8CHAR *, size_t n); /* blank-padded field */

/* --- objects --- */
#define P11_ATTR(type, p, n) ((CK_ATTRIBUTE){ (type), (void *)(uintptr_t)(p), (n) })
#define P11_VAR(type, var) P11_ATTR(type, &(var), sizeof(var))
extern const CK_BBOOL p11_yes, p11_no;
/* At most `max` objects that match. */
int p11_find(struct p11_use *, CK_ATTRIBUTE *, size_t n, CK_OBJECT_HANDLE *out, size_t max, size_t *ret_n,
	     struct err *) NODISCARD;
bool p11_attr(struct p11_use *, CK_OBJECT_HANDLE, CK_ATTRIBUTE_TYPE, struct bytes *ret); /* false: not to be had */
bool p11_attr_true(struct p11_use *, CK_OBJECT_HANDLE, CK_ATTRIBUTE_TYPE);
/* The objects of a class that belong to a handle of ours: CKA_ID in hexadecimal, or "label:TEXT" where there is
 * none. */
int p11_objects(struct p11_use *, const char *handle, CK_OBJECT_CLASS, CK_OBJECT_HANDLE *out, size_t max, size_t *ret_n,
		struct err *) NODISCARD;
char *p11_handle(struct p11_use *, CK_OBJECT_HANDLE); /* NULL: it has neither CKA_ID nor CKA_LABEL */
int p11_key(struct p11_use *, const char *handle, struct p11_known *ret, struct err *) NODISCARD;
/* public or private object */
int p11_public(struct p11_use *, CK_OBJECT_HANDLE, EVP_PKEY **ret, struct err *) NODISCARD;
int p11_pubkey(struct p11_use *, const char *handle, EVP_PKEY **ret, struct err *) NODISCARD;
struct bytes p11_curve(const struct keytype *); /* CKA_EC_PARAMS; n 0: not a curve */

/* --- operations of the engine --- */
int p11_generate(struct ctx *, struct engine *, const struct keytype *, const char *label, struct keyref *ret,
		 EVP_PKEY **ret_pub, struct err *) NODISCARD;
int p11_import(struct ctx *, struct engine *, EVP_PKEY *, const char *label, struct keyref *ret,
	       struct err *) NODISCARD;
int p11_destroy(struct ctx *, struct engine *, const struct keyref *, int64_t *ret_gone_at, struct err *) NODISCARD;
int p11_annotate(struct ctx *, struct engine *, const struct keyref *, const struct key_notes *,
		 struct err *) NODISCARD;
int p11_sign(struct engine *, const struct keyref *, const struct sigalg *, struct bytes in, struct buf *sig,
	     struct err *) NODISCARD;
int p11_writable(const struct p11 *, struct err *) NODISCARD;
/* A random CKA_ID for a key that is about to be made; when it has one, what an earlier attempt left under it is
 * removed. */
int p11_fresh_id(struct p11_use *, struct bytes *id, struct err *) NODISCARD;
void p11_remove(struct p11_use *, struct bytes id); /* both halves, as far as that goes */
/* Gives both halves of a new key its lasting CKA_ID, the key's id, where the token lets it; the handle that holds. */
int p11_settle(struct p11_use *, const CK_OBJECT_HANDLE pair[2], const EVP_PKEY *pub, struct bytes id_now,
	       char **ret_handle, struct err *) NODISCARD;

extern const struct engine_ops pkcs11_engine;
