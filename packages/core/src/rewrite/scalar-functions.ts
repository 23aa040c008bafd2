/** Functions of pg_catalog that give one value for each row, of those that people write beside an id. */
export const HARMLESS_SCALARS: ReadonlySet<string> = new Set(
  (
    'now clock_timestamp statement_timestamp transaction_timestamp timezone to_char to_date to_timestamp to_number ' +
    'date_trunc date_part extract make_date make_interval make_time make_timestamp make_timestamptz age random ' +
    'gen_random_uuid uuidv4 uuidv7 nextval currval lastval md5 sha224 sha256 sha384 sha512 encode decode lower upper ' +
    'initcap length char_length octet_length btrim ltrim rtrim lpad rpad left right repeat replace translate reverse ' +
    'substr substring split_part strpos position overlay concat concat_ws format quote_literal quote_ident chr ascii ' +
    'abs ceil ceiling floor round trunc sign sqrt power exp ln log mod div gcd lcm jsonb_build_object ' +
    'jsonb_build_array json_build_object json_build_array to_json to_jsonb array_append array_prepend array_cat ' +
    'array_to_string string_to_array current_setting current_database version pg_typeof to_tsvector to_tsquery ' +
    'plainto_tsquery convert_to convert_from like_escape similar_to_escape'
  ).split(' '),
);
