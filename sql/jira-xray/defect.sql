-- Defects of Jira.
--
-- in:   source bugs
-- out:  defect                 one row per issue of type 'Bug'
-- key:  key
SELECT
  b.key,
  b.project,
  b.rev,
  b.created_at,
  b.updated_at,
  b.updated_by,
  b.url,
  b.raw_hash,
  b.fields,
  false AS read_only,
  b.fields['Summary'] AS title,
  b.fields['Status'] AS state,
  b.fields['Description'] AS description
FROM {{ source('bugs') }} AS b
