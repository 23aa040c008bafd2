import koffi from 'koffi';

/*
 * The system's users and groups, through the C library: what it says counts for every other program of the
 * machine (files, LDAP, systemd). It may take long, so it is asked on a thread of koffi's, never on a loop.
 */

const program = koffi.load(null);
/** getpwuid_r(uid, passwd, buffer, length, result): 0 or an errno; result is null when there is no such user. */
const getpwuid = program.func('getpwuid_r', 'int', ['uint32_t', 'void *', 'void *', 'size_t', 'void *']);
const getpwnam = program.func('getpwnam_r', 'int', ['str', 'void *', 'void *', 'size_t', 'void *']);
const getgrnam = program.func('getgrnam_r', 'int', ['str', 'void *', 'void *', 'size_t', 'void *']);

/** Room for struct passwd and struct group: pointers name and password first, then 32-bit ids. */
const STRUCT_BYTES = 64;
const ID_OFFSET = 16;
/** Text of one entry; a group's list of members is in it. ERANGE beyond, which counts as not found. */
const TEXT_BYTES = 256 * 1024;

interface Entry {
  struct: DataView;
  text: Uint8Array;
  textAddress: bigint;
}

/** Null when the system knows no such entry, or cannot say. */
function ask(call: typeof getpwuid, key: string | number): Promise<Entry | null> {
  return new Promise((resolve) => {
    const struct = new Uint8Array(STRUCT_BYTES);
    const text = new Uint8Array(TEXT_BYTES);
    const result = new BigUint64Array(1);
    call.async(key, struct, text, TEXT_BYTES, result, (_error: unknown, number: number) => {
      const isFound = number === 0 && result[0] !== 0n;
      resolve(
        isFound ? { struct: new DataView(struct.buffer), text, textAddress: koffi.address(text) } : null,
      );
    });
  });
}

/** A directory service that does not answer holds up logins by Unix socket for so long, and never others. */
const LOOKUP_TIMEOUT_MS = 2000;

/** As userName(), null also when the answer takes too long. Never rejects. */
export function userNameInTime(uid: number, lookup: typeof userName = userName): Promise<string | null> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(null), LOOKUP_TIMEOUT_MS);
    const answered = (name: string | null): void => {
      clearTimeout(timer);
      resolve(name);
    };
    lookup(uid).then(answered, () => answered(null));
  });
}

/** The name of a user id; null when it has none. */
export async function userName(uid: number): Promise<string | null> {
  const entry = await ask(getpwuid, uid);
  if (entry === null) return null;
  const { struct, text, textAddress } = entry;
  // The name's pointer leads into the text.
  const start = Number(struct.getBigUint64(0, true) - textAddress);
  const end = text.indexOf(0, start);
  return start >= 0 && end > start ? Buffer.from(text.subarray(start, end)).toString('utf8') : null;
}

export async function userId(name: string): Promise<number | null> {
  const entry = await ask(getpwnam, name);
  return entry === null ? null : entry.struct.getUint32(ID_OFFSET, true);
}

/** By name, or a number as it stands. */
export async function groupId(name: string): Promise<number | null> {
  const entry = await ask(getgrnam, name);
  if (entry !== null) return entry.struct.getUint32(ID_OFFSET, true);
  const number = name.trim() === '' ? Number.NaN : Number(name);
  return Number.isInteger(number) && number >= 0 && number < 0xffff_ffff ? number : null;
}
