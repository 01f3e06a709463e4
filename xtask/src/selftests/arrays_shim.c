/*
 * Writes each test of a kernel tree's test_verifier.c as one line of JSON.
 *
 * Compiled at run time against the tree, whose file is included as it is. libbpf is not linked: the functions below
 * take its place and record what they are given instead of asking the kernel. Descriptors are numbers from FIRST_FD
 * on, types of kernel functions numbers from FIRST_KFUNC on; whoever reads the lines puts real ones in.
 */
#define main tests_main
#include "test_verifier.c"
#undef main

#define FIRST_FD 0x5ce90000
#define FIRST_KFUNC 0x5cea0000
#define MAX_OBJECTS 256

enum object_kind { OBJECT_MAP, OBJECT_BTF, OBJECT_PROG };

struct element {
	int map;
	unsigned char key[8];
	unsigned char value[64];
	struct element *next;
};

struct object {
	enum object_kind kind;
	__u32 map_type, key_size, value_size, max_entries, map_flags, key_id, value_id;
	int btf, inner;
	char name[32];
	unsigned char *bytes;
	size_t size;
	__u32 prog_type;
};

static struct object objects[MAX_OBJECTS];
static int nr_objects;
static struct element *elements;
static const char *kfuncs[64];
static int nr_kfuncs;
static struct bpf_prog_load_opts loaded_opts;
static struct bpf_insn *loaded_insns;
static size_t loaded_count;
static enum bpf_prog_type loaded_type;
static int is_loaded;

static struct object *add(enum object_kind kind)
{
	struct object *o;

	if (nr_objects == MAX_OBJECTS)
		abort();
	o = &objects[nr_objects++];
	memset(o, 0, sizeof(*o));
	o->kind = kind;
	return o;
}

static int fd_of(struct object *o)
{
	return FIRST_FD + (o - objects);
}

static unsigned char *copy(const void *data, size_t size)
{
	unsigned char *out = malloc(size ? size : 1);

	memcpy(out, data, size);
	return out;
}

/* Functions of ours, each under the symbol that the tree calls: headers differ in the qualifiers of arguments. */
int ours_bpf_map_create(enum bpf_map_type, const char *, __u32, __u32, __u32,
			const struct bpf_map_create_opts *) __asm__("bpf_map_create");
int ours_bpf_map_update_elem(int, const void *, const void *, __u64) __asm__("bpf_map_update_elem");
int ours_bpf_btf_load(const void *, size_t, struct bpf_btf_load_opts *) __asm__("bpf_btf_load");
int ours_bpf_prog_load(enum bpf_prog_type, const char *, const char *, const struct bpf_insn *, size_t,
		       struct bpf_prog_load_opts *) __asm__("bpf_prog_load");
int ours_libbpf_find_vmlinux_btf_id(const char *, enum bpf_attach_type) __asm__("libbpf_find_vmlinux_btf_id");
struct btf *ours_btf__load_vmlinux_btf(void) __asm__("btf__load_vmlinux_btf");
__s32 ours_btf__find_by_name_kind(const struct btf *, const char *, __u32) __asm__("btf__find_by_name_kind");
void ours_btf__free(struct btf *) __asm__("btf__free");
int ours_libbpf_probe_bpf_map_type(enum bpf_map_type, const void *) __asm__("libbpf_probe_bpf_map_type");
int ours_libbpf_probe_bpf_prog_type(enum bpf_prog_type, const void *) __asm__("libbpf_probe_bpf_prog_type");
int ours_cap_enable_effective(__u64, __u64 *) __asm__("cap_enable_effective");
int ours_cap_disable_effective(__u64, __u64 *) __asm__("cap_disable_effective");
int ours_testing_prog_flags(void) __asm__("testing_prog_flags");

int ours_bpf_map_create(enum bpf_map_type type, const char *name, __u32 key_size, __u32 value_size, __u32 max_entries,
		   const struct bpf_map_create_opts *opts)
{
	struct object *o = add(OBJECT_MAP);

	o->map_type = type;
	o->key_size = key_size;
	o->value_size = value_size;
	o->max_entries = max_entries;
	if (name)
		strncpy(o->name, name, sizeof(o->name) - 1);
	if (opts) {
		o->map_flags = opts->map_flags;
		o->key_id = opts->btf_key_type_id;
		o->value_id = opts->btf_value_type_id;
		o->btf = opts->btf_fd;
		o->inner = opts->inner_map_fd;
	}
	return fd_of(o);
}

int ours_bpf_map_update_elem(int fd, const void *key, const void *value, __u64 flags)
{
	struct object *o = &objects[fd - FIRST_FD];
	struct element *e = calloc(1, sizeof(*e));

	e->map = fd;
	memcpy(e->key, key, o->key_size);
	memcpy(e->value, value, o->value_size);
	e->next = elements;
	elements = e;
	return 0;
}

int ours_bpf_btf_load(const void *data, size_t size, struct bpf_btf_load_opts *opts)
{
	struct object *o = add(OBJECT_BTF);

	o->bytes = copy(data, size);
	o->size = size;
	return fd_of(o);
}

int ours_bpf_prog_load(enum bpf_prog_type type, const char *name, const char *license, const struct bpf_insn *insns,
		  size_t count, struct bpf_prog_load_opts *opts)
{
	if (opts) {
		loaded_opts = *opts;
		loaded_insns = (struct bpf_insn *)copy(insns, count * sizeof(*insns));
		loaded_count = count;
		loaded_type = type;
		is_loaded = 1;
		/* The caller leaves a program alone that the kernel does not support. */
		errno = ENOTSUPP;
		return -1;
	}
	struct object *o = add(OBJECT_PROG);

	o->prog_type = type;
	o->bytes = copy(insns, count * sizeof(*insns));
	o->size = count * sizeof(*insns);
	return fd_of(o);
}

int ours_libbpf_find_vmlinux_btf_id(const char *name, enum bpf_attach_type type)
{
	return 1;
}

struct btf *ours_btf__load_vmlinux_btf(void)
{
	return (struct btf *)1;
}

__s32 ours_btf__find_by_name_kind(const struct btf *btf, const char *name, __u32 kind)
{
	if (nr_kfuncs == ARRAY_SIZE(kfuncs))
		abort();
	kfuncs[nr_kfuncs] = name;
	return FIRST_KFUNC + nr_kfuncs++;
}

void ours_btf__free(struct btf *btf) {}
int ours_libbpf_probe_bpf_map_type(enum bpf_map_type type, const void *opts) { return 1; }
int ours_libbpf_probe_bpf_prog_type(enum bpf_prog_type type, const void *opts) { return 1; }
int ours_cap_enable_effective(__u64 caps, __u64 *old) { return 0; }
int ours_cap_disable_effective(__u64 caps, __u64 *old) { return 0; }
int ours_testing_prog_flags(void) { return 0; }

static FILE *out;

static void put_text(const char *key, const char *text)
{
	fprintf(out, ",\"%s\":", key);
	if (!text) {
		fputs("null", out);
		return;
	}
	fputc('"', out);
	for (; *text; text++) {
		unsigned char c = *text;

		if (c == '"' || c == '\\')
			fprintf(out, "\\%c", c);
		else if (c < ' ' || c > '~')
			fprintf(out, "\\u%04x", c);
		else
			fputc(c, out);
	}
	fputc('"', out);
}

static void put_number(const char *key, long long number)
{
	fprintf(out, ",\"%s\":%lld", key, number);
}

static void put_bytes(const char *key, const void *data, size_t size)
{
	static const char digits[] = "0123456789abcdef";
	const unsigned char *bytes = data;

	fprintf(out, ",\"%s\":\"", key);
	for (size_t i = 0; i < size; i++) {
		fputc(digits[bytes[i] >> 4], out);
		fputc(digits[bytes[i] & 15], out);
	}
	fputc('"', out);
}

static void put_objects(void)
{
	fputs(",\"objects\":[", out);
	for (int i = 0; i < nr_objects; i++) {
		struct object *o = &objects[i];

		fprintf(out, "%s{\"kind\":%d", i ? "," : "", o->kind);
		if (o->kind == OBJECT_MAP) {
			put_number("type", o->map_type);
			put_number("key_size", o->key_size);
			put_number("value_size", o->value_size);
			put_number("max_entries", o->max_entries);
			put_number("flags", o->map_flags);
			put_number("key_id", o->key_id);
			put_number("value_id", o->value_id);
			put_number("btf", o->btf ? o->btf - FIRST_FD : -1);
			put_number("inner", o->inner ? o->inner - FIRST_FD : -1);
			put_text("name", o->name);
		} else {
			put_number("prog_type", o->prog_type);
			put_bytes("bytes", o->bytes, o->size);
		}
		fputc('}', out);
	}
	fputs("],\"elements\":[", out);
	for (struct element *e = elements; e; e = e->next) {
		struct object *o = &objects[e->map - FIRST_FD];

		fprintf(out, "%s{\"map\":%d", e == elements ? "" : ",", e->map - FIRST_FD);
		put_bytes("key", e->key, o->key_size);
		put_bytes("value", e->value, o->value_size);
		fputc('}', out);
	}
	fputs("],\"kfuncs\":[", out);
	for (int i = 0; i < nr_kfuncs; i++)
		fprintf(out, "%s\"%s\"", i ? "," : "", kfuncs[i]);
	fputc(']', out);
}

static void put_runs(struct bpf_test *test)
{
	int runs = test->runs ? test->runs : 1;

	fputs(",\"runs\":[", out);
	for (int i = 0; i < runs; i++) {
		fprintf(out, "%s{\"retval\":%u,\"retval_unpriv\":%u", i ? "," : "", test->retvals[i].retval,
			test->retvals[i].retval_unpriv);
		put_bytes("data", test->retvals[i].data, sizeof(test->retvals[i].data));
		fputc('}', out);
	}
	fputc(']', out);
}

static void put_test(struct bpf_test *test)
{
	fprintf(out, "{\"index\":%d", (int)(test - tests));
	put_text("name", test->descr);
	put_number("unpriv", test_as_unpriv(test));
	put_number("prog_type", loaded_type);
	put_number("attach_type", loaded_opts.expected_attach_type);
	put_number("flags", loaded_opts.prog_flags);
	put_number("wants_target", loaded_opts.attach_btf_id != 0);
	put_text("target", test->kfunc);
	put_number("btf", loaded_opts.prog_btf_fd ? (int)loaded_opts.prog_btf_fd - FIRST_FD : -1);
	put_bytes("func_info", loaded_opts.func_info,
		  (size_t)loaded_opts.func_info_cnt * loaded_opts.func_info_rec_size);
	put_bytes("insns", loaded_insns, loaded_count * sizeof(*loaded_insns));
	put_number("result", test->result);
	put_number("result_unpriv", test->result_unpriv);
	put_text("errstr", test->errstr);
	put_text("errstr_unpriv", test->errstr_unpriv);
	put_objects();
	put_runs(test);
	fputs("}\n", out);
}

/* One argument: the file to write. */
int main(int argc, char **argv)
{
	int passes = 0, errors = 0;

	if (argc != 2 || !(out = fopen(argv[1], "w")))
		return 2;
	/* A fixed start: the same programs each time. */
	srand(1);
	for (size_t i = 0; i < ARRAY_SIZE(tests); i++) {
		nr_objects = nr_kfuncs = is_loaded = 0;
		elements = NULL;
		do_test_single(&tests[i], false, &passes, &errors);
		if (is_loaded)
			put_test(&tests[i]);
	}
	return fclose(out) ? 2 : 0;
}
