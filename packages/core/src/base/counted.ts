/** `1 worker`, `2 workers`: for messages to people. @param shown the number as it is to stand there */
export function counted(count: number, noun: string, shown = String(count)): string {
  return `${shown} ${noun}${count === 1 ? '' : 's'}`;
}
