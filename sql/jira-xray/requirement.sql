-- Requirements of Jira Xray.
--
-- in:   source requirements
-- out:  requirement            one row per issue of a type that tests can cover
-- key:  key
SELECT
  r.key,
  r.project,
  r.rev,
  r.created_at,
  r.updated_at,
  r.updated_by,
  r.url,
  r.raw_hash,
  r.fields,
  false AS read_only,
  r.fields['Summary'] AS title,
  r.fields['Status'] AS state,
  r.issue_type AS kind
FROM {{ source('requirements') }} AS r
