-- Requirements of Azure DevOps, whatever the process calls them.
--
-- in:   requirements
-- out:  requirement, one row per work item
-- key:  key
SELECT
  key, project, rev, created_at, updated_at, updated_by, url, raw_hash, fields,
  false AS read_only,
  fields['Title'] AS title,
  fields['State'] AS state,
  kind
FROM {{ source('requirements') }}
