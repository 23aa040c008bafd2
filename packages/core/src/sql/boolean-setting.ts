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
