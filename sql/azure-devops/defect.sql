-- Bugs of Azure DevOps.
--
-- in:   bugs
-- out:  defect, one row per work item
-- key:  key
--
-- What the form shows as the body of a bug is its repro steps.
SELECT
  key, project, rev, created_at, updated_at, updated_by, url, raw_hash, fields,
  false AS read_only,
  fields['Title'] AS title,
  fields['State'] AS state,
  coalesce(fields['Repro Steps'], fields['Description']) AS description
FROM {{ source('bugs') }}
