/** Whether input of type boolean is true (bool.c): a word may be cut short. */
export function isTrueWord(text: string): boolean {
  const word = text.trim().toLowerCase();
  if (word === '1' || word === 'on') return true;
  return word !== '' && ('true'.startsWith(word) || 'yes'.startsWith(word));
}

/** The usual spellings of a boolean setting; null for others, which are the server's to refuse. */
export function readBoolean(text: string): boolean | null {
  switch (text.toLowerCase()) {
    case 'on':
    case 'true':
    case 'yes':
    case '1':
      return true;
    case 'off':
    case 'false':
    case 'no':
    case '0':
      return false;
    default:
      return null;
  }
}
