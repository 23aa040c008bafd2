/** What a client's encoding says of how its texts are to be read. */

/** UTF-8, or none that is known: a text that is valid UTF-8 is. */
export const CLIENT_UTF8 = 0;
/** Bytes from 0x80 up are nothing but parts of characters, and ASCII bytes are never: where tokens end is certain. */
export const CLIENT_OTHER = 1;
/** A character may end in an ASCII byte, a backslash among them. */
export const CLIENT_ASCII_ENDS = 2;

/** Those that cannot be a database's. JOHAB and GB18030 end in digits, too. */
const WITH_ASCII_ENDS = new Set('BIG5 GB18030 GBK JOHAB SHIFT_JIS_2004 SJIS UHC'.split(' '));

/** Of encodings by the names that servers report; undefined: not reported. @returns one of CLIENT_… */
export function clientReading(client: string | undefined, server: string | undefined): number {
  if (client === undefined || client === 'UTF8') return CLIENT_UTF8;
  // Nothing is converted: it is what the server has.
  if (client === 'SQL_ASCII') {
    return server === undefined || server === 'UTF8' || server === 'SQL_ASCII' ? CLIENT_UTF8 : CLIENT_OTHER;
  }
  return WITH_ASCII_ENDS.has(client) ? CLIENT_ASCII_ENDS : CLIENT_OTHER;
}
