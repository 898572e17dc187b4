/* A PKCS#11 module around another one, $SHIM_MODULE, that misbehaves as $SHIM says: words "name" or "name=value",
 * separated by commas. $SHIM_LOG gets the name of each call that matters, one a line. Test code: built by the tests
 * that use it. */
#include <dlfcn.h>
#include <p11-kit/pkcs11.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static CK_FUNCTION_LIST *real, list;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned long sessions, calls;
static CK_SESSION_HANDLE wants_pin;

/* The value of a word; 1 when it has none, 0 when it is not there. */
static unsigned long word(const char *name)
{
	const char *p = getenv("SHIM");
	size_t n = strlen(name);

	for (; p && *p; p += strcspn(p, ","), p += *p == ',')
		if (strncmp(p, name, n) == 0 && (p[n] == '=' || p[n] == ',' || !p[n]))
			return p[n] == '=' ? strtoul(p + n + 1, NULL, 0) : 1;
	return 0;
}

static void note(const char *call)
{
	const char *path = getenv("SHIM_LOG");
	FILE *f = path ? fopen(path, "a") : NULL;

	if (!f)
		return;
	fprintf(f, "%s\n", call);
	fclose(f);
}

/* True at the n-th call of one of those that count. */
static int nth(const char *name)
{
	unsigned long n = word(name);

	return n && n == calls;
}

/* Does not come back for as long as the file $SHIM_STALL is there. */
static void stall(const char *name)
{
	const char *path = getenv("SHIM_STALL");

	while (word(name) && path && access(path, F_OK) == 0)
		usleep(10000);
}

static CK_RV initialize(void *args)
{
	note("C_Initialize");
	if (word("crash"))
		raise(SIGSEGV);
	if (word("exit"))
		_exit(3);
	if (word("hang"))
		for (;;)
			pause();
	return real->C_Initialize(args);
}

static CK_RV token_info(CK_SLOT_ID slot, CK_TOKEN_INFO *t)
{
	CK_RV rv = real->C_GetTokenInfo(slot, t);

	t->flags |= word("flags");
	return word("removed") && calls >= word("removed") ? CKR_TOKEN_NOT_PRESENT : rv;
}

static CK_RV open_session(CK_SLOT_ID slot, CK_FLAGS flags, void *app, CK_NOTIFY notify, CK_SESSION_HANDLE *s)
{
	CK_RV rv;

	if (word("nosession") || (word("sessions") && sessions >= word("sessions")))
		return CKR_SESSION_COUNT;
	if (word("removed") && calls >= word("removed"))
		return CKR_TOKEN_NOT_PRESENT;
	if (word("flags") & CKF_WRITE_PROTECTED && flags & CKF_RW_SESSION)
		return CKR_TOKEN_WRITE_PROTECTED;
	rv = real->C_OpenSession(slot, flags, app, notify, s);
	sessions += rv == CKR_OK;
	note("C_OpenSession");
	return rv;
}

static CK_RV close_session(CK_SESSION_HANDLE s)
{
	CK_RV rv = real->C_CloseSession(s);

	sessions -= rv == CKR_OK;
	return rv;
}

static CK_RV login(CK_SESSION_HANDLE s, CK_USER_TYPE user, CK_UTF8CHAR *pin, CK_ULONG n)
{
	note(user == CKU_USER ? "C_Login" : "C_Login context");
	if (user == CKU_CONTEXT_SPECIFIC) {
		if (wants_pin != s || n != 4 || memcmp(pin, "1234", 4) != 0)
			return CKR_PIN_INCORRECT;
		wants_pin = 0;
		return CKR_OK;
	}
	stall("stall-login");
	if (word("keypad"))
		return pin ? CKR_PIN_INCORRECT : real->C_Login(s, user, (CK_UTF8CHAR *)"1234", 4);
	return real->C_Login(s, user, pin, n);
}

static CK_RV sign_init(CK_SESSION_HANDLE s, CK_MECHANISM *m, CK_OBJECT_HANDLE key)
{
	CK_SESSION_INFO info;
	CK_RV rv;

	pthread_mutex_lock(&lock);
	calls++;
	note("C_SignInit");
	if (nth("lose") && real->C_GetSessionInfo(s, &info) == CKR_OK) {
		real->C_CloseAllSessions(info.slotID);
		sessions = 0;
	}
	if (nth("logout"))
		real->C_Logout(s);
	if (nth("finalize")) {
		real->C_Finalize(NULL);
		sessions = 0;
	}
	rv = word("removed") && calls >= word("removed") ? CKR_DEVICE_REMOVED : real->C_SignInit(s, m, key);
	if (rv == CKR_OK && word("always"))
		wants_pin = s;
	pthread_mutex_unlock(&lock);
	return rv;
}

static CK_RV sign(CK_SESSION_HANDLE s, CK_BYTE *data, CK_ULONG n, CK_BYTE *sig, CK_ULONG *sig_n)
{
	CK_RV rv;

	if (wants_pin == s && s)
		return CKR_USER_NOT_LOGGED_IN;
	if (word("short") && n > word("short"))
		return real->C_Sign(s, data, word("short"), sig, sig_n), CKR_DATA_LEN_RANGE;
	if (nth("stall-at"))
		stall("stall-at");
	stall("stall");
	rv = real->C_Sign(s, data, n, sig, sig_n);
	if (rv == CKR_OK && word("garbage"))
		sig[*sig_n - 1] ^= 1;
	return rv;
}

static CK_RV get_attribute(CK_SESSION_HANDLE s, CK_OBJECT_HANDLE o, CK_ATTRIBUTE *t, CK_ULONG n)
{
	CK_RV rv = real->C_GetAttributeValue(s, o, t, n);

	if (n == 1 && t->type == CKA_ALWAYS_AUTHENTICATE && word("always") && t->pValue)
		*(CK_BBOOL *)t->pValue = CK_TRUE;
	if (n == 1 && t->type == CKA_EC_POINT && word("raw") && rv == CKR_OK) {
		if (t->pValue && t->ulValueLen > 2)
			memmove(t->pValue, (char *)t->pValue + 2, t->ulValueLen - 2);
		t->ulValueLen -= t->pValue ? 2 : 0;
	}
	return rv;
}

static CK_RV set_attribute(CK_SESSION_HANDLE s, CK_OBJECT_HANDLE o, CK_ATTRIBUTE *t, CK_ULONG n)
{
	return word("fixed") && t->type == CKA_ID ? CKR_ATTRIBUTE_READ_ONLY : real->C_SetAttributeValue(s, o, t, n);
}

static CK_RV create(CK_SESSION_HANDLE s, CK_ATTRIBUTE *t, CK_ULONG n, CK_OBJECT_HANDLE *o)
{
	for (CK_ULONG i = 0; i < n; i++)
		if (t[i].type == CKA_CLASS && *(CK_OBJECT_CLASS *)t[i].pValue == CKO_PRIVATE_KEY && word("nocreate"))
			return CKR_TEMPLATE_INCONSISTENT;
	return real->C_CreateObject(s, t, n, o);
}

static CK_RV unwrap(CK_SESSION_HANDLE s, CK_MECHANISM *m, CK_OBJECT_HANDLE k, CK_BYTE *in, CK_ULONG in_n,
		    CK_ATTRIBUTE *t, CK_ULONG n, CK_OBJECT_HANDLE *o)
{
	note("C_UnwrapKey");
	return word("nounwrap") ? CKR_FUNCTION_NOT_SUPPORTED : real->C_UnwrapKey(s, m, k, in, in_n, t, n, o);
}

static CK_RV generate(CK_SESSION_HANDLE s, CK_MECHANISM *m, CK_ATTRIBUTE *pub, CK_ULONG pub_n, CK_ATTRIBUTE *priv,
		      CK_ULONG priv_n, CK_OBJECT_HANDLE *o, CK_OBJECT_HANDLE *p)
{
	stall("stall-generate");
	CK_RV rv = real->C_GenerateKeyPair(s, m, pub, pub_n, priv, priv_n, o, p);

	note("C_GenerateKeyPair");
	pthread_mutex_lock(&lock);
	calls++;
	if (rv == CKR_OK && nth("doubt")) /* made, but the answer is lost */
		rv = CKR_DEVICE_ERROR;
	pthread_mutex_unlock(&lock);
	return rv;
}

CK_RV C_GetFunctionList(CK_FUNCTION_LIST **ret)
{
	const char *path = getenv("SHIM_MODULE");
	void *dl = path ? dlopen(path, RTLD_NOW) : NULL, *symbol = dl ? dlsym(dl, "C_GetFunctionList") : NULL;
	CK_C_GetFunctionList get;

	memcpy(&get, &symbol, sizeof(get));
	if (!symbol || get(&real) != CKR_OK)
		return CKR_GENERAL_ERROR;
	list = *real;
	list.C_Initialize = initialize;
	list.C_GetTokenInfo = token_info;
	list.C_OpenSession = open_session;
	list.C_CloseSession = close_session;
	list.C_Login = login;
	list.C_SignInit = sign_init;
	list.C_Sign = sign;
	list.C_GetAttributeValue = get_attribute;
	list.C_SetAttributeValue = set_attribute;
	list.C_CreateObject = create;
	list.C_UnwrapKey = unwrap;
	list.C_GenerateKeyPair = generate;
	*ret = &list;
	return CKR_OK;
}
