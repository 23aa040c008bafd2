/** Somebody who looks on at what a session asks and how it is answered. No session of an ordinary database has one. */
export interface SessionTap {
  /** A frame of the client's is about to be shown. */
  showing(): void;
  /** It was taken, or (`isTaken` false) will be shown again. bytes[start, end) is its head, or all of it. */
  shown(
    isTaken: boolean,
    type: number,
    bytes: Uint8Array,
    start: number,
    end: number,
    frameBytes: number,
  ): void;
  /** More of the frame last taken. */
  rest(bytes: Uint8Array, start: number, end: number): void;
  /** The last `count` bytes that were taken will be shown once more. */
  again(count: number): void;
  /** COPY FROM STDIN waits for its data. */
  copyBegan(): void;
  /** A statement has completed with this tag. */
  completed(tag: string): void;
  /** An error of ours goes to the client, outside of any server's answer. */
  localError(): void;
  /** ReadyForQuery. `owed`: how many more of them the server owes for what has been sent. */
  answered(status: number, hasError: boolean, owed: number): void;
  /** The session has ended. */
  gone(): void;
}
