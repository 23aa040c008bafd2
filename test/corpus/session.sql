-- Statements about the session and its transactions: neutral, where the session says.

SET work_mem = DEFAULT

SET LOCAL work_mem TO DEFAULT

SET SESSION work_mem TO DEFAULT;

SET work_mem = 'x'

SET LOCAL work_mem TO 'x'

SET SESSION work_mem TO 'x';

SET work_mem = on

SET LOCAL work_mem TO on

SET SESSION work_mem TO on;

SET work_mem = 5

SET LOCAL work_mem TO 5

SET SESSION work_mem TO 5;

SET work_mem = 'a', 'b'

SET LOCAL work_mem TO 'a', 'b'

SET SESSION work_mem TO 'a', 'b';

RESET work_mem

SHOW work_mem

SET search_path = DEFAULT

SET LOCAL search_path TO DEFAULT

SET SESSION search_path TO DEFAULT;

SET search_path = 'x'

SET LOCAL search_path TO 'x'

SET SESSION search_path TO 'x';

SET search_path = on

SET LOCAL search_path TO on

SET SESSION search_path TO on;

SET search_path = 5

SET LOCAL search_path TO 5

SET SESSION search_path TO 5;

SET search_path = 'a', 'b'

SET LOCAL search_path TO 'a', 'b'

SET SESSION search_path TO 'a', 'b';

SET search_path = -1

SET LOCAL search_path TO -1

SET SESSION search_path TO -1;

SET search_path = 1.5

SET LOCAL search_path TO 1.5

SET SESSION search_path TO 1.5;

SET search_path = public, pg_temp

SET LOCAL search_path TO public, pg_temp

SET SESSION search_path TO public, pg_temp;

SET search_path = off

SET LOCAL search_path TO off

SET SESSION search_path TO off;

RESET search_path

SHOW search_path

SET "TimeZone" = DEFAULT

SET LOCAL "TimeZone" TO DEFAULT

SET SESSION "TimeZone" TO DEFAULT;

SET "TimeZone" = 'x'

SET LOCAL "TimeZone" TO 'x'

SET SESSION "TimeZone" TO 'x';

SET "TimeZone" = on

SET LOCAL "TimeZone" TO on

SET SESSION "TimeZone" TO on;

SET "TimeZone" = 5

SET LOCAL "TimeZone" TO 5

SET SESSION "TimeZone" TO 5;

SET "TimeZone" = 'a', 'b'

SET LOCAL "TimeZone" TO 'a', 'b'

SET SESSION "TimeZone" TO 'a', 'b';

RESET "TimeZone"

SHOW "TimeZone"

SET app.tenant = DEFAULT

SET LOCAL app.tenant TO DEFAULT

SET SESSION app.tenant TO DEFAULT;

SET app.tenant = 'x'

SET LOCAL app.tenant TO 'x'

SET SESSION app.tenant TO 'x';

SET app.tenant = on

SET LOCAL app.tenant TO on

SET SESSION app.tenant TO on;

SET app.tenant = 5

SET LOCAL app.tenant TO 5

SET SESSION app.tenant TO 5;

SET app.tenant = 'a', 'b'

SET LOCAL app.tenant TO 'a', 'b'

SET SESSION app.tenant TO 'a', 'b';

RESET app.tenant

SHOW app.tenant

SET statement_timeout = DEFAULT

SET LOCAL statement_timeout TO DEFAULT

SET SESSION statement_timeout TO DEFAULT;

SET statement_timeout = 'x'

SET LOCAL statement_timeout TO 'x'

SET SESSION statement_timeout TO 'x';

SET statement_timeout = on

SET LOCAL statement_timeout TO on

SET SESSION statement_timeout TO on;

SET statement_timeout = 5

SET LOCAL statement_timeout TO 5

SET SESSION statement_timeout TO 5;

SET statement_timeout = 'a', 'b'

SET LOCAL statement_timeout TO 'a', 'b'

SET SESSION statement_timeout TO 'a', 'b';

RESET statement_timeout

SHOW statement_timeout

SET DateStyle = DEFAULT

SET LOCAL DateStyle TO DEFAULT

SET SESSION DateStyle TO DEFAULT;

SET DateStyle = 'x'

SET LOCAL DateStyle TO 'x'

SET SESSION DateStyle TO 'x';

SET DateStyle = on

SET LOCAL DateStyle TO on

SET SESSION DateStyle TO on;

SET DateStyle = 5

SET LOCAL DateStyle TO 5

SET SESSION DateStyle TO 5;

SET DateStyle = 'a', 'b'

SET LOCAL DateStyle TO 'a', 'b'

SET SESSION DateStyle TO 'a', 'b';

RESET DateStyle

SHOW DateStyle

SET role = DEFAULT

SET LOCAL role TO DEFAULT

SET SESSION role TO DEFAULT;

SET role = 'x'

SET LOCAL role TO 'x'

SET SESSION role TO 'x';

SET role = on

SET LOCAL role TO on

SET SESSION role TO on;

SET role = 5

SET LOCAL role TO 5

SET SESSION role TO 5;

SET role = 'a', 'b'

SET LOCAL role TO 'a', 'b'

SET SESSION role TO 'a', 'b';

RESET role

SHOW role

SET client_encoding = DEFAULT

SET LOCAL client_encoding TO DEFAULT

SET SESSION client_encoding TO DEFAULT;

SET client_encoding = 'x'

SET LOCAL client_encoding TO 'x'

SET SESSION client_encoding TO 'x';

SET client_encoding = on

SET LOCAL client_encoding TO on

SET SESSION client_encoding TO on;

SET client_encoding = 5

SET LOCAL client_encoding TO 5

SET SESSION client_encoding TO 5;

SET client_encoding = 'a', 'b'

SET LOCAL client_encoding TO 'a', 'b'

SET SESSION client_encoding TO 'a', 'b';

RESET client_encoding

SHOW client_encoding

SET default_transaction_read_only = DEFAULT

SET LOCAL default_transaction_read_only TO DEFAULT

SET SESSION default_transaction_read_only TO DEFAULT;

SET default_transaction_read_only = 'x'

SET LOCAL default_transaction_read_only TO 'x'

SET SESSION default_transaction_read_only TO 'x';

SET default_transaction_read_only = on

SET LOCAL default_transaction_read_only TO on

SET SESSION default_transaction_read_only TO on;

SET default_transaction_read_only = 5

SET LOCAL default_transaction_read_only TO 5

SET SESSION default_transaction_read_only TO 5;

SET default_transaction_read_only = 'a', 'b'

SET LOCAL default_transaction_read_only TO 'a', 'b'

SET SESSION default_transaction_read_only TO 'a', 'b';

RESET default_transaction_read_only

SHOW default_transaction_read_only

SET enable_seqscan = DEFAULT

SET LOCAL enable_seqscan TO DEFAULT

SET SESSION enable_seqscan TO DEFAULT;

SET enable_seqscan = 'x'

SET LOCAL enable_seqscan TO 'x'

SET SESSION enable_seqscan TO 'x';

SET enable_seqscan = on

SET LOCAL enable_seqscan TO on

SET SESSION enable_seqscan TO on;

SET enable_seqscan = 5

SET LOCAL enable_seqscan TO 5

SET SESSION enable_seqscan TO 5;

SET enable_seqscan = 'a', 'b'

SET LOCAL enable_seqscan TO 'a', 'b'

SET SESSION enable_seqscan TO 'a', 'b';

RESET enable_seqscan

SHOW enable_seqscan

SET pgdog.role = DEFAULT

SET LOCAL pgdog.role TO DEFAULT

SET SESSION pgdog.role TO DEFAULT;

SET pgdog.role = 'x'

SET LOCAL pgdog.role TO 'x'

SET SESSION pgdog.role TO 'x';

SET pgdog.role = on

SET LOCAL pgdog.role TO on

SET SESSION pgdog.role TO on;

SET pgdog.role = 5

SET LOCAL pgdog.role TO 5

SET SESSION pgdog.role TO 5;

SET pgdog.role = 'a', 'b'

SET LOCAL pgdog.role TO 'a', 'b'

SET SESSION pgdog.role TO 'a', 'b';

RESET pgdog.role

SHOW pgdog.role

SHOW ALL

RESET ALL

SET TIME ZONE LOCAL

SET TIME ZONE 'UTC'

SET TIME ZONE INTERVAL '1' HOUR TO MINUTE

SET TIME ZONE -5

SET NAMES 'UTF8'

SET SCHEMA 'public'

SET XML OPTION DOCUMENT

SET SESSION AUTHORIZATION DEFAULT

SET SESSION AUTHORIZATION postgres

RESET SESSION AUTHORIZATION

SET ROLE 'reader'

SET ROLE NONE

RESET ROLE

RESET TIME ZONE

SHOW TIME ZONE

SHOW TRANSACTION ISOLATION LEVEL

SHOW SESSION AUTHORIZATION

SET TRANSACTION READ ONLY

SET TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ WRITE, NOT DEFERRABLE

SET TRANSACTION SNAPSHOT '00000003-0000001B-1'

SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY

SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL REPEATABLE READ

SET CONSTRAINTS ALL DEFERRED

SET CONSTRAINTS public.a, b IMMEDIATE

SET transaction_read_only = on

SET search_path FROM CURRENT

BEGIN

begin work

BEGIN TRANSACTION

START TRANSACTION

BEGIN READ ONLY

begin work READ ONLY

BEGIN TRANSACTION READ ONLY

START TRANSACTION READ ONLY

BEGIN READ WRITE

begin work READ WRITE

BEGIN TRANSACTION READ WRITE

START TRANSACTION READ WRITE

BEGIN ISOLATION LEVEL SERIALIZABLE

begin work ISOLATION LEVEL SERIALIZABLE

BEGIN TRANSACTION ISOLATION LEVEL SERIALIZABLE

START TRANSACTION ISOLATION LEVEL SERIALIZABLE

BEGIN ISOLATION LEVEL READ COMMITTED, READ ONLY

begin work ISOLATION LEVEL READ COMMITTED, READ ONLY

BEGIN TRANSACTION ISOLATION LEVEL READ COMMITTED, READ ONLY

START TRANSACTION ISOLATION LEVEL READ COMMITTED, READ ONLY

BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY DEFERRABLE

begin work ISOLATION LEVEL REPEATABLE READ READ ONLY DEFERRABLE

BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY DEFERRABLE

START TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY DEFERRABLE

BEGIN ISOLATION LEVEL READ UNCOMMITTED

begin work ISOLATION LEVEL READ UNCOMMITTED

BEGIN TRANSACTION ISOLATION LEVEL READ UNCOMMITTED

START TRANSACTION ISOLATION LEVEL READ UNCOMMITTED

BEGIN NOT DEFERRABLE

begin work NOT DEFERRABLE

BEGIN TRANSACTION NOT DEFERRABLE

START TRANSACTION NOT DEFERRABLE

COMMIT

COMMIT WORK

COMMIT AND CHAIN

COMMIT AND NO CHAIN

END

END TRANSACTION

ROLLBACK

ROLLBACK WORK AND CHAIN

ABORT

SAVEPOINT a

SAVEPOINT "B"

RELEASE a

RELEASE SAVEPOINT a

ROLLBACK TO a

ROLLBACK WORK TO SAVEPOINT a

DEALLOCATE p

DEALLOCATE PREPARE ALL

DEALLOCATE ALL

DISCARD ALL

DISCARD PLANS

DISCARD TEMP

DISCARD TEMPORARY

DISCARD SEQUENCES

EXECUTE p

EXECUTE p (1, 'a', NULL)

EXECUTE "P"(now())

EXPLAIN EXECUTE p(1)

UNLISTEN ch

UNLISTEN *

CLOSE c

CLOSE ALL

FETCH c

MOVE c

FETCH NEXT FROM c

MOVE NEXT IN c

FETCH PRIOR FROM c

MOVE PRIOR IN c

FETCH FIRST FROM c

MOVE FIRST IN c

FETCH LAST FROM c

MOVE LAST IN c

FETCH ABSOLUTE 3 FROM c

MOVE ABSOLUTE 3 IN c

FETCH RELATIVE -2 FROM c

MOVE RELATIVE -2 IN c

FETCH 5 FROM c

MOVE 5 IN c

FETCH ALL FROM c

MOVE ALL IN c

FETCH FORWARD FROM c

MOVE FORWARD IN c

FETCH FORWARD 3 FROM c

MOVE FORWARD 3 IN c

FETCH FORWARD ALL FROM c

MOVE FORWARD ALL IN c

FETCH BACKWARD FROM c

MOVE BACKWARD IN c

FETCH BACKWARD 2 FROM c

MOVE BACKWARD 2 IN c

FETCH BACKWARD ALL FROM c

MOVE BACKWARD ALL IN c
